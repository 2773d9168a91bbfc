//! Images: bytes from wherever they are to verified blobs on disk.
