//! Ranks that change all the time: an ordered list in blocks.
//!
//! Finding a rank and moving to one touch one block and the sizes of the others, a few hundred
//! words each, where one array would move thousands.

/// A block of more items than this is parted in two.
const LARGEST: usize = 512;

/// Items in order; an item is a small number.
#[derive(Debug, Default)]
pub(super) struct Order {
    blocks: Vec<Vec<u32>>,
    /// The block of each item; [`ABSENT`] for one that is not in the list.
    homes: Vec<u32>,
    len: usize,
}

const ABSENT: u32 = u32::MAX;

impl Order {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, item: u32) -> bool {
        self.homes.get(item as usize).is_some_and(|&home| home != ABSENT)
    }

    /// The rank of an item that is in the list; the first is 0.
    pub(super) fn rank(&self, item: u32) -> usize {
        let home = self.homes[item as usize] as usize;
        let before: usize = self.blocks[..home].iter().map(Vec::len).sum();
        before + self.blocks[home].iter().take_while(|&&other| other != item).count()
    }

    /// Puts an item at the end.
    pub(super) fn push(&mut self, item: u32) {
        self.insert(item, self.len);
    }

    /// Puts an item where it has this rank, or at the end.
    pub(super) fn insert(&mut self, item: u32, rank: usize) {
        let (mut home, mut at) = (0, rank.min(self.len));
        while home + 1 < self.blocks.len() && at > self.blocks[home].len() {
            at -= self.blocks[home].len();
            home += 1;
        }
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        self.blocks[home].insert(at, item);
        if self.homes.len() <= item as usize {
            self.homes.resize(item as usize + 1, ABSENT);
        }
        self.homes[item as usize] = home as u32;
        self.len += 1;
        if self.blocks[home].len() > LARGEST {
            let rest = self.blocks[home].split_off(LARGEST / 2);
            self.blocks.insert(home + 1, rest);
            for (at, block) in self.blocks.iter().enumerate().skip(home + 1) {
                block.iter().for_each(|&item| self.homes[item as usize] = at as u32);
            }
        }
    }

    pub(super) fn remove(&mut self, item: u32) {
        let home = self.homes[item as usize] as usize;
        self.blocks[home].retain(|&other| other != item);
        self.homes[item as usize] = ABSENT;
        self.len -= 1;
    }

    /// Moves an item to a rank.
    pub(super) fn relocate(&mut self, item: u32, rank: usize) {
        self.remove(item);
        self.insert(item, rank);
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.blocks.iter().flatten().copied()
    }
}
