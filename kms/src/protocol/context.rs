//! The encryption context: pairs of texts that a ciphertext is bound to.

use std::borrow::Cow;

/// An encryption context, in the canonical order of its keys. Not secret: it is logged.
///
/// Empty means none, as in AWS. That of a call is texts of the request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EncryptionContext<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl EncryptionContext<'_> {
    /// The pairs, ordered by the bytes of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// The value of one key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let place = self
            .0
            .binary_search_by(|(other, _)| other.as_ref().cmp(key));
        let (_, value) = self.0.get(place.ok()?)?;
        Some(value)
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The same, with texts of its own.
    pub fn into_owned(self) -> EncryptionContext<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let pairs = self.0.into_iter();
        EncryptionContext(pairs.map(|(key, value)| (own(key), own(value))).collect())
    }
}

impl<'a, K: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(K, V)>
    for EncryptionContext<'a>
{
    /// Of pairs with the same key the last one stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(pairs)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_in_the_order_of_its_keys(
            pairs in proptest::collection::vec(("[ab]{0,2}", "[xyz]"), 0..8),
        ) {
            let map: BTreeMap<String, String> = pairs.iter().cloned().collect();
            let context: EncryptionContext<'_> = pairs.into_iter().collect();
            prop_assert_eq!(context.clone().into_owned(), context.clone());
            let expected = map.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            prop_assert!(context.iter().eq(expected));
            prop_assert_eq!((context.len(), context.is_empty()), (map.len(), map.is_empty()));
            for key in ["", "a", "b", "ab", "ba", "c"] {
                prop_assert_eq!(context.get(key), map.get(key).map(String::as_str));
            }
        }
    }
}
