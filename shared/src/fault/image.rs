//! Texts of the area `image`.

super::texts! {}
