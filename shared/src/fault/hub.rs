//! Texts of the area `hub`.

super::texts! {}
