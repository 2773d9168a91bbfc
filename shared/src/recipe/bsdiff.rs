//! Placeholder until merged.
/// x
#[derive(Debug, thiserror::Error)]
#[error("none")]
pub struct BsdiffError;
/// x
pub fn encode(_old: &[u8], new: &[u8]) -> Vec<u8> {
    new.to_vec()
}
/// x
pub fn decode(_old: &[u8], _body: &[u8], _size: usize) -> Result<Vec<u8>, BsdiffError> {
    Err(BsdiffError)
}
