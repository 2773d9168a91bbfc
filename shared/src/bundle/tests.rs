use super::*;

fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

fn index() -> Index {
    let entry = |content, size| Entry { content, size };
    Index {
        made: UnixMillis(1_790_000_000_000),
        entries: vec![
            entry(Content::Desired(Name::new("crane-7").unwrap()), 5),
            entry(Content::Release(digest(1)), 7),
            entry(Content::Document(digest(2)), 0),
            entry(Content::Patch { layer: digest(3), patch: digest(4), from: vec![digest(5)] }, 300),
        ],
    }
}

fn file(index: &Index) -> Vec<u8> {
    let mut bytes = index.front().unwrap();
    assert_eq!(file_size(&bytes, index), bytes.len() as u64 + index.content_size() + 32);
    bytes.extend((0..index.content_size()).map(|n| n as u8));
    let mut trailer = Trailer::default();
    trailer.push(&bytes);
    bytes.extend(trailer.finish());
    bytes
}

/// Looks at `bytes` in pieces of so many.
fn checked(bytes: &[u8], piece: usize) -> Result<Checked, BundleError> {
    let mut checker = Checker::default();
    bytes.chunks(piece).try_for_each(|piece| checker.push(piece))?;
    checker.finish()
}

#[test]
fn a_bundle_comes_back_and_keeps_its_bytes() {
    let bytes = file(&index());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bundle/small.bundle");
    if std::env::var_os("UPDATE").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(std::fs::read(path).unwrap(), bytes, "a change of bytes is a new version");
    for piece in [1, 2, 11, 13, 100, bytes.len()] {
        let checked = checked(&bytes, piece).unwrap();
        assert_eq!((checked.index, checked.begin), (index(), index().front().unwrap().len() as u64));
    }
    let places: Vec<u64> = index().places().map(|(_, place)| place).collect();
    assert_eq!(places, [0, 5, 12, 12]);
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_error_by_name() {
    let bytes = file(&index());
    for length in 0..bytes.len() {
        let error = checked(&bytes[..length], 64).unwrap_err();
        assert!(
            if length == 0 { error == BundleError::Other } else { matches!(error, BundleError::Short(_)) },
            "{length}: {error}"
        );
    }
    assert_eq!(checked(&[&bytes[..], b"x"].concat(), 64), Err(BundleError::Long));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(checked(&flipped, 64).is_err(), "bit {bit}");
    }
}

#[test]
fn what_an_index_says_is_bounded() {
    let mut huge = file(&index());
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(checked(&huge, 64), Err(BundleError::Index(_))), "nothing is allocated for it");
    let mut newer = file(&index());
    newer[12] = 9;
    assert_eq!(checked(&newer, 64), Err(BundleError::UnknownVersion(9)));
    assert_eq!(checked(b"PK\x03\x04 something else", 64), Err(BundleError::Other));

    let changed = |change: &dyn Fn(&mut Index)| {
        let mut index = index();
        change(&mut index);
        index.front()
    };
    assert!(changed(&|_| {}).is_ok());
    let again = |index: &mut Index| index.entries.push(index.entries[1].clone());
    assert!(matches!(changed(&again), Err(BundleError::Index(_))));
    assert!(matches!(
        changed(&|index| index.entries.iter_mut().for_each(|entry| entry.size = u64::MAX)),
        Err(BundleError::Index(_))
    ));
    let many = |index: &mut Index| {
        let patch = Content::Patch { layer: digest(1), patch: digest(1), from: vec![digest(1); FROM_MAX + 1] };
        index.entries.push(Entry { content: patch, size: 1 });
    };
    assert!(matches!(changed(&many), Err(BundleError::Index(_))));
}
