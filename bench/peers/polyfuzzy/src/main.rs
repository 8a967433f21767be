//! Times `detect` of polyfuzzy 0.5.0 for kith's detection bench.
//!
//! Protocol: one request a line on standard input, `<subkeys> <pairs>`; one answer a line on
//! standard output, nanoseconds for all the pairs. The flags are foreign to the key, as almost
//! every flag on a chain is; the crate does the same work for a flag of the key's own.

use polyfuzzy::fmd2_compact::{CompactPublicKey, FlagCiphertexts, MultiFmd2CompactScheme};
use polyfuzzy::{DetectionKey, FmdKeyGen, KeyExpansion, MultiFmdScheme};
use rand_core::OsRng;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Instant;

/// Namada's number of bits in a flag.
const GAMMA: usize = 20;
/// Namada's degree of the key polynomial.
const THRESHOLD: usize = 1;
/// Distinct flags a run goes round; more than fit any branch predictor's memory of one flag.
const FLAGS: usize = 32;

fn foreign_flags(scheme: &mut MultiFmd2CompactScheme) -> Vec<FlagCiphertexts> {
    let (_, public_key): (_, CompactPublicKey) = scheme.generate_keys(&mut OsRng);
    (0..FLAGS).map(|_| scheme.flag(&public_key, &mut OsRng)).collect()
}

fn detection_key(scheme: &mut MultiFmd2CompactScheme, subkeys: usize) -> DetectionKey {
    let (secret, public) = scheme.generate_keys(&mut OsRng);
    let (expanded, _) = scheme.expand_keypair(&secret, &public);
    scheme
        .multi_extract(&expanded, 1, 1, subkeys, subkeys)
        .expect("between 1 and 20 subkeys")
        .remove(0)
}

fn main() {
    let mut scheme = MultiFmd2CompactScheme::new(GAMMA, THRESHOLD);
    let flags = foreign_flags(&mut scheme);
    let stdout = io::stdout();
    for line in io::stdin().lock().lines() {
        let line = line.expect("a line of text");
        let mut fields = line.split_whitespace().map(|field| field.parse::<usize>());
        let (Some(Ok(subkeys)), Some(Ok(pairs))) = (fields.next(), fields.next()) else {
            eprintln!("expected: <subkeys> <pairs>");
            std::process::exit(2);
        };
        let key = detection_key(&mut scheme, subkeys);
        let started = Instant::now();
        for i in 0..pairs {
            black_box(scheme.detect(&key, &flags[i % FLAGS]));
        }
        let mut out = stdout.lock();
        writeln!(out, "{}", started.elapsed().as_nanos()).and_then(|()| out.flush()).expect("an open pipe");
    }
}
