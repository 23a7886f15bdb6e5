//! The answer about custom key stores.

use zeroize::Zeroizing;

use crate::protocol::writer;

use super::{Response, write_page};

/// DescribeCustomKeyStores' answer where there are none.
pub struct DescribeCustomKeyStores;

impl Response for DescribeCustomKeyStores {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        writer::object(|o| {
            o.objects("CustomKeyStores", std::iter::empty::<()>(), |_, ()| ());
            write_page(o, None);
        })
    }
}
