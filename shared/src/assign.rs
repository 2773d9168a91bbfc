//! Which release of which app goes to which node.
