//! The normal form as YAML for people. [`super::read`] makes the same App of it.

use super::App;
use crate::people::{Dollars, yaml};

impl App {
    /// The App document as YAML; `$` is written `$$`, so that reading it needs no variable.
    pub fn to_yaml(&self) -> String {
        // A manifest is plain data with string keys: it always has a JSON form.
        yaml(&serde_json::to_value(self).unwrap_or_default(), Dollars::Doubled)
    }
}
