//! Which text trains, which judges while it trains, and which nobody sees before the end.

use serde::{Deserialize, Serialize};

/// Shares of the text that do not train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Judges the training: the part before the test's.
    pub validation: f64,
    /// Is kept for the end: the last part.
    pub test: f64,
}

/// A text's documents in three parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts<'t> {
    /// What the model learns from.
    pub training: Vec<&'t [u8]>,
    /// What says how well.
    pub validation: Vec<&'t [u8]>,
    /// What is only scored at the end.
    pub test: Vec<&'t [u8]>,
}

impl<'t> Parts<'t> {
    /// Divides `documents`, first the training's, last the test's. One document alone is cut between two characters; of
    /// several, each goes where its first byte lies.
    pub fn new(documents: &[&'t [u8]], shares: Shares) -> Self {
        let all: usize = documents.iter().map(|document| document.len()).sum();
        let [training, validation] = [shares.validation + shares.test, shares.test].map(|rest| {
            // 1 − 0.05 − 0.05 is a little less than 0.9 in floating point, and must not cost a byte.
            (all as f64 * (1.0 - rest) + 1e-6) as usize
        });
        if let [only] = documents {
            let (training, validation) = (boundary(only, training), boundary(only, validation));
            let part = |part: &'t [u8]| if part.is_empty() { vec![] } else { vec![part] };
            return Self {
                training: part(&only[..training]),
                validation: part(&only[training..validation]),
                test: part(&only[validation..]),
            };
        }
        let (mut this, mut at) = (Self::default(), 0);
        for document in documents {
            let part = match at {
                at if at < training => &mut this.training,
                at if at < validation => &mut this.validation,
                _ => &mut this.test,
            };
            part.push(document);
            at += document.len();
        }
        this
    }
}

/// The last place at or before `at` that is not inside of a UTF-8 character.
fn boundary(text: &[u8], at: usize) -> usize {
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (0..=at).rev().find(|&at| !inside(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_cut_at_its_shares_between_characters() {
        let text = "0123456789012345678é".as_bytes();
        let parts = Parts::new(&[text], Shares { validation: 0.05, test: 0.05 });
        // 21 bytes: 18.9 and 19.95.
        assert_eq!(parts.training, [&text[..18]]);
        assert_eq!(parts.validation, [&text[18..19]]);
        assert_eq!(parts.test, ["é".as_bytes()]);
        let whole = Parts::new(&[text], Shares { validation: 0.0, test: 0.0 });
        assert_eq!(whole, Parts { training: vec![text], ..Parts::default() });
        // The cut at 20 would be inside of é.
        let parts = Parts::new(&[text], Shares { validation: 0.04, test: 0.0 });
        assert_eq!(parts.training, [&text[..19]]);
    }

    #[test]
    fn the_published_split_of_1115394_bytes_trains_on_1003854() {
        let text = vec![b'x'; 1_115_394];
        let parts = Parts::new(&[&text], Shares { validation: 0.05, test: 0.05 });
        let lengths = [&parts.training, &parts.validation, &parts.test].map(|part| part[0].len());
        assert_eq!(lengths, [1_003_854, 55_770, 55_770]);
    }

    #[test]
    fn documents_stay_whole() {
        let documents: Vec<&[u8]> = vec![b"aaaa", b"bbbb", b"cc", b"dddd"];
        let parts = Parts::new(&documents, Shares { validation: 0.25, test: 0.25 });
        // 14 bytes: 7 and 10.5.
        assert_eq!(parts.training, documents[..2]);
        assert_eq!(parts.validation, documents[2..3]);
        assert_eq!(parts.test, documents[3..]);
    }

    #[test]
    fn no_text_has_no_parts() {
        assert_eq!(Parts::new(&[], Shares { validation: 0.1, test: 0.1 }), Parts::default());
    }
}
