//! Random texts that are hard for splitters.

/// A stream of texts, the same for the same seed.
pub struct Texts {
    state: u64,
}

const SPACES: &[&str] = &[
    " ", " ", " ", "  ", "\n", "\r\n", "\r", "\t", "\u{b}", "\u{c}", "\u{85}", "\u{a0}",
    "\u{1680}", "\u{2003}", "\u{2028}", "\u{2029}", "\u{202f}", "\u{3000}", "\n\n", " \n", "\n ",
    "   ",
];
const CONTRACTIONS: &[&str] = &[
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'lL", "'D", "'ſ", "'",
    "''", "'r", "'v", "'l", "'K", "\u{212a}", "’s", "'sa", "'x", "s'", " 's", "'ſs",
];
const MARKS: &[&str] = &[
    "\u{301}",
    "\u{308}",
    "\u{fe0f}",
    "\u{20e3}",
    "\u{200d}",
    "\u{93e}",
    "\u{e31}",
    "\u{302a}",
    "\u{1f3fb}",
    "e\u{301}",
    "क्षि",
    "ที่",
    "❤\u{fe0f}",
    "1\u{fe0f}\u{20e3}",
    "👩\u{200d}👧",
];
const DIGITS: &[&str] = &[
    "0",
    "1",
    "7",
    "12",
    "123",
    "1234",
    "٣",
    "٤٥٦",
    "९",
    "๕",
    "Ⅷ",
    "²",
    "½",
    "〇",
    "〡",
    "𝟘",
    "𝟙𝟚𝟛𝟜",
    "①",
    "3.14",
    "1,000",
];
const LETTERS: &[&str] = &[
    "a",
    "b",
    "Z",
    "Q",
    "hello",
    "World",
    "ABC",
    "aB",
    "Ab",
    "é",
    "ß",
    "Ж",
    "жук",
    "ǅ",
    "ʰ",
    "ª",
    "א",
    "ا",
    "中",
    "文字",
    "あ",
    "カ",
    "ー",
    "ヶ",
    "가",
    "한글",
    "ก",
    "𝐀",
    "𝐚",
    "𐐀",
    "Ⓐ",
    "İ",
    "ſ",
    "ﬁ",
    "龥",
    "龦",
    "々",
    "〆",
    "ひらガナ",
];
const OTHERS: &[&str] = &[
    ".",
    ",",
    "!",
    "(",
    ")",
    "/",
    "//",
    "/\n",
    "-",
    "--",
    "_",
    "\"",
    "“",
    "”",
    "—",
    "…",
    "。",
    "、",
    "「",
    "·",
    "・",
    "゛",
    "$",
    "+",
    "€",
    "©",
    "😀",
    "🇩🇪",
    "⺀",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "\u{200b}",
    "\u{ad}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{378}",
    "\u{3097}",
    "<|",
    "://",
    "+=",
    ");\n",
    "{\n",
    "...\r\n\r\n/",
];

impl Texts {
    pub fn new(seed: u64) -> Self {
        Texts { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// The next text, of 0 to some 300 characters.
    pub fn text(&mut self) -> String {
        let parts = match self.below(4) {
            0 => self.below(4),
            1 => self.below(12),
            2 => self.below(40),
            _ => self.below(110),
        };
        let families: Vec<usize> = (0..1 + self.below(3)).map(|_| self.below(10)).collect();
        let mut text = String::new();
        for _ in 0..parts {
            let family = match self.below(4) {
                0 => self.below(10),
                _ => families[self.below(families.len())],
            };
            self.part(family, &mut text);
        }
        text
    }

    /// The same, with bytes that are no UTF-8.
    pub fn broken(&mut self) -> Vec<u8> {
        let mut bytes = self.text().into_bytes();
        for _ in 0..self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(3) {
                0 if at < bytes.len() => drop(bytes.remove(at)),
                1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                _ => {
                    let bad: &[&[u8]] =
                        &[b"\x80", b"\xED\xA0\x80", b"\xC0\xAF", b"\xF4\x90\x80\x80"];
                    let bad = bad[self.below(4)];
                    bytes.splice(at..at, bad.iter().copied());
                }
            }
        }
        bytes
    }

    fn part(&mut self, family: usize, text: &mut String) {
        match family {
            0 => text.push_str(self.one(SPACES)),
            1 => text.push_str(self.one(CONTRACTIONS)),
            2 => text.push_str(self.one(MARKS)),
            3 => text.push_str(self.one(DIGITS)),
            4 => text.push_str(self.one(LETTERS)),
            5 => text.push_str(self.one(OTHERS)),
            6 => text.push(self.any()),
            7 => text.push(char::from(self.below(128) as u8)),
            8 => {
                for _ in 0..1 + self.below(9) {
                    let first = if self.below(6) == 0 { b'A' } else { b'a' };
                    text.push(char::from(first + self.below(26) as u8));
                }
                text.push_str(if self.below(3) > 0 { " " } else { self.one(CONTRACTIONS) });
            }
            _ => {
                let kinds = [SPACES, CONTRACTIONS, MARKS, DIGITS, LETTERS, OTHERS];
                let kind = kinds[self.below(6)];
                let part = self.one(kind);
                // Runs whose ends fall on both sides of a block of 64 bytes.
                let count = if self.below(3) == 0 { 54 + self.below(20) } else { self.below(9) };
                (0..count.div_ceil(part.len())).for_each(|_| text.push_str(part));
            }
        }
    }

    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// Any code point, most of them from the first planes.
    fn any(&mut self) -> char {
        let ranges = [0x250, 0x800, 0x3400, 0x1_0000, 0x2_0000, 0x11_0000];
        let range = ranges[self.below(ranges.len())];
        char::from_u32(self.below(range) as u32).unwrap_or('\u{d7ff}')
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}
