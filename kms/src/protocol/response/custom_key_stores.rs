//! The answer about custom key stores.

use zeroize::Zeroizing;

use crate::json_writer;

use super::{Response, write_page};

/// DescribeCustomKeyStores' answer where there are none.
pub struct DescribeCustomKeyStores;

impl Response for DescribeCustomKeyStores {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("CustomKeyStores", std::iter::empty::<()>(), |_, ()| ());
            write_page(o, None);
        })
    }
}
