//! Round trips, bodies of nobody, and one body for ever.

use proptest::prelude::*;

use super::{BsdiffError, decode, encode};

/// Bytes without a pattern.
fn noise(mut seed: u64, len: usize) -> Vec<u8> {
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Something like a program: functions of 24 bytes each, of which every one calls another, and a table of their
/// addresses; `extra` bytes stand before function number 100.
fn program(functions: usize, extra: usize) -> Vec<u8> {
    let at = |function: usize| function * 24 + if function < 100 { 0 } else { extra };
    let mut code = noise(1, functions * 24).iter().map(|byte| byte & 0x77).collect::<Vec<u8>>();
    let inserted = at(100).min(code.len());
    code.splice(inserted - extra.min(inserted)..inserted - extra.min(inserted), noise(2, extra));
    for function in 0..functions {
        let from = at(function) + 8;
        let to = at(function * 7919 % functions);
        code[from - 1] = 0xE8;
        code[from..from + 4].copy_from_slice(&(to as i32 - from as i32 - 4).to_le_bytes());
    }
    for function in 0..functions {
        code.extend_from_slice(&(at(function) as u64 + 0x40_0000).to_le_bytes());
    }
    code
}

fn check(old: &[u8], new: &[u8]) -> usize {
    let body = encode(old, new);
    assert_eq!(body, encode(old, new), "same input, same bytes");
    assert_eq!(decode(old, &body, new.len()).as_deref(), Ok(new));
    body.len()
}

#[test]
fn what_is_encoded_comes_back() {
    let (some, other) = (noise(3, 9_000), noise(4, 9_000));
    assert!(check(&[], &[]) < 12);
    assert!(check(&some, &[]) < 12);
    assert!(check(&[], &some) < 9_020);
    assert!(check(&some, &other) < 9_020, "nothing in common costs nothing more");
    assert!(check(&some, &some) < 20);
    assert!(check(&some, &some[777..]) < 20);
    assert!(check(&some, &[&other[..99], &some, &other[..99]].concat()) < 230);
    assert!(check(&vec![0; 50_000], &vec![0; 70_000]) < 60);
    assert!(check(&some[..5], &some[..9]) < 20);
}

#[test]
fn moved_code_costs_next_to_nothing() {
    let (old, new) = (program(1500, 0), program(1500, 40));
    let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    let body = check(&old, &new);
    assert!(changed > 15_000 && body < 600, "{changed} bytes differ, the body has {body}");
}

#[test]
fn a_cut_or_lengthened_body_is_named() {
    let (old, new) = (noise(5, 5000), noise(6, 300));
    let new = [&new, &old[..4000]].concat();
    let body = encode(&old, &new);
    assert_eq!(decode(&old, &[], new.len()), Err(BsdiffError::Short));
    assert_eq!(decode(&old, &body[..3], new.len()), Err(BsdiffError::Short));
    assert_eq!(decode(&old, &body[..body.len() - 1], new.len()), Err(BsdiffError::Literals));
    assert_eq!(decode(&old, &[&body[..], b"x"].concat(), new.len()), Err(BsdiffError::Literals));
    assert_eq!(decode(&old, &body, 10), Err(BsdiffError::Copies));
    assert_eq!(decode(&old[..100], &body, new.len()), Err(BsdiffError::Copies));
    assert_eq!(decode(&old, &[0xFF; 9], new.len()), Err(BsdiffError::Short));
}

#[test]
fn a_frame_that_unpacks_to_more_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).expect("packs");
    let body = [&[0][..], &bomb].concat();
    assert_eq!(decode(&[], &body, 1000), Err(BsdiffError::Literals));
}

#[test]
fn a_body_made_once_is_understood_for_ever() {
    let body = hex::decode(GOLDEN).expect("hex");
    assert_eq!(decode(&program(300, 0), &body, program(300, 40).len()), Ok(program(300, 40)));
}

/// 40 bytes inserted into 300 functions.
const GOLDEN: &str = concat!(
    "3007ff861501bf5c4295b78b169405830000000002a74acbba6922ad2a02b494572f6364406dd84168d0db5ed6b5e7ff9decaa88",
    "58474b7c2671daa712f20240faea2d0e47a8e6ec5aed26d72a0f4356d45da6fbf981bc88d4",
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_come_back(old in prop::collection::vec(0u8..4, 0..600), new in prop::collection::vec(0u8..4, 0..600)) {
        check(&old, &new);
    }

    #[test]
    fn a_changed_program_comes_back(cut in 0usize..900, every in 5usize..90, add in 1u8.., more in 0usize..60) {
        let old = program(120, 0);
        let mut new = [&old[cut / 3..], &noise(7, more)].concat();
        new.iter_mut().step_by(every).for_each(|byte| *byte = byte.wrapping_add(add));
        check(&old[..old.len() - cut], &new);
    }

    #[test]
    fn any_body_is_survived(body in prop::collection::vec(any::<u8>(), 0..200), coded in 0u8..100, size in 0usize..5000) {
        let old = program(120, 0);
        for body in [body.clone(), [&[coded][..], &body].concat()] {
            if let Ok(out) = decode(&old, &body, size) {
                prop_assert_eq!(out.len(), size);
            }
        }
    }

    #[test]
    fn any_changed_body_is_survived(at in any::<prop::sample::Index>(), bits in 1u8.., size in 0usize..6000) {
        let (old, new) = (program(150, 0), program(150, 40));
        let mut body = encode(&old, &new);
        let at = at.index(body.len());
        body[at] ^= bits;
        for size in [size, new.len()] {
            if let Ok(out) = decode(&old, &body, size) {
                prop_assert_eq!(out.len(), size);
            }
        }
    }
}
