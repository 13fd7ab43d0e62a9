"""A text as a page on which every byte has the colour of its bits.

One HTML file that needs nothing else: no network, no font, no library, and a policy of its own that
forbids all of them. Characters are shown as such and carry a colour for each of their bytes; where
the pointer, a finger or the keyboard goes, the page lists the likeliest next bytes and the token
sequences that they come from. `survey` asks the models, `cells` cuts the text into what is shown
as one, `document` writes HTML; `page.css` and `page.js` stand in the file as they are.

Cost: one walk along the text with all next bytes asked for, about one context a byte (0.3 ms with
an n-gram model of 8192 tokens), and about 260 bytes of file for each byte and model. A page of
100 kB was open in a second.
"""

from bytewright.bytelm.page.pages import MOST_BYTES, PageProgress, byte_page

__all__ = ["MOST_BYTES", "PageProgress", "byte_page"]
