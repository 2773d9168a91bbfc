//! Texts of the area `cli`.

super::texts! {}
