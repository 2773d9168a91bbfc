//! Texts of the area `link`.

super::texts! {}
