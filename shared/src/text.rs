//! Types that are a text wherever they are stored or sent.

/// For types that are read by `FromStr` and written by `Display`: the conversions that serde's `try_from` and `into` name.
macro_rules! as_text {
    ($($text:ty),+) => {$(
        impl TryFrom<String> for $text {
            type Error = <Self as std::str::FromStr>::Err;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$text> for String {
            fn from(text: $text) -> Self {
                text.to_string()
            }
        }
    )+};
}

pub(crate) use as_text;
