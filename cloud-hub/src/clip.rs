//! What nodes say, cut to a size that is known: no node is trusted with the hub's memory, its disk or its answers. Pure.
//!
//! An honest node stays below every bound. One that does not loses the rest of what it said and nothing else, so that
//! people still see what it is up to.

use std::net::SocketAddr;

use shared::fault::Fault;
use shared::manifest::SERVICES_MAX;
use shared::oci::Platform;
use shared::report::{AppReport, Facts, Good, NextReport, Report, ServiceReport, Transfer};
use shared::state::APPS_MAX;

/// Longest text, in bytes.
const TEXT_MAX: usize = 512;
/// Longest code of a fault and longest name of a parameter, in bytes.
const WORD_MAX: usize = 64;
/// Most parameters of a fault.
const PARAMS_MAX: usize = 8;
/// Most faults of a node as a whole.
const FAULTS_MAX: usize = 32;
/// Most images that are on their way to one node.
const TRANSFERS_MAX: usize = 64;

/// At most `max` bytes, in whole characters. Control characters but for the ends of lines become spaces: JSON writes each
/// in six bytes, and a terminal obeys them.
fn cut(text: &str, max: usize) -> String {
    let whole = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
    whole.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn text(text: &str) -> String {
    cut(text, TEXT_MAX)
}

/// A fault as it may be stored and shown.
pub(crate) fn fault(fault: &Fault) -> Fault {
    let params = fault.params.iter().take(PARAMS_MAX).map(|(key, value)| (cut(key, WORD_MAX), text(value))).collect();
    Fault { code: cut(&fault.code, WORD_MAX), params }
}

/// A report as it may be stored and shown.
pub(crate) fn report(report: Report) -> Report {
    Report {
        facts: facts(report.facts),
        apps: report.apps.into_iter().take(APPS_MAX).map(app).collect(),
        next: report.next.into_iter().take(APPS_MAX).map(next).collect(),
        transfers: report.transfers.into_iter().take(TRANSFERS_MAX).map(transfer).collect(),
        faults: report.faults.iter().take(FAULTS_MAX).map(fault).collect(),
        ..report
    }
}

fn facts(facts: Facts) -> Facts {
    let Platform { os, architecture, variant } = &facts.platform;
    let platform = Platform { os: cut(os, WORD_MAX), architecture: cut(architecture, WORD_MAX), variant: cut(variant, WORD_MAX) };
    let address = facts.address.filter(can_be_meant);
    Facts { version: text(&facts.version), runtime: text(&facts.runtime), boot: text(&facts.boot), platform, address, ..facts }
}

/// Whether a node can be reached there, as far as an address tells.
fn can_be_meant(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    !ip.is_unspecified() && !ip.is_multicast() && address.port() != 0
}

fn app(app: AppReport) -> AppReport {
    AppReport {
        version: text(&app.version),
        good: app.good.map(|good| Good { version: text(&good.version), ..good }),
        services: app.services.into_iter().take(SERVICES_MAX).map(service).collect(),
        fault: app.fault.as_ref().map(fault),
        ..app
    }
}

fn next(next: NextReport) -> NextReport {
    NextReport { version: text(&next.version), fault: next.fault.as_ref().map(fault), ..next }
}

fn transfer(transfer: Transfer) -> Transfer {
    Transfer { waits: transfer.waits.as_ref().map(fault), ..transfer }
}

fn service(service: ServiceReport) -> ServiceReport {
    ServiceReport { instance: text(&service.instance), ..service }
}

#[cfg(test)]
mod tests {
    use shared::id::Digest;
    use shared::report::Phase;
    use shared::time::UnixMillis;
    use shared::wire::{MESSAGE_MAX, v1};

    use super::*;
    use crate::fleet::Life;
    use crate::fleet::tests::{app, report as plain, service};
    use crate::fleet::view::node_status;

    /// The longest line that hubctl reads as one.
    const LINE_MAX: usize = 4 << 20;

    fn fault_of(params: usize, length: usize, letter: &str) -> Fault {
        Fault { code: "x".repeat(length), params: (0..params).map(|n| (format!("{n}"), letter.repeat(length))).collect() }
    }

    #[test]
    fn texts_are_cut_in_bytes_between_characters() {
        for (text, max, cut_text) in
            [("abc", 3, "abc"), ("abc", 2, "ab"), ("宁波", 5, "宁"), ("", 0, ""), ("a\u{1b}[m\nb", 9, "a [m\nb")]
        {
            assert_eq!(cut(text, max), cut_text, "{text:?}");
        }
        let short = fault(&fault_of(1000, 10_000, "宁"));
        assert_eq!((short.params.len(), short.code.len()), (PARAMS_MAX, WORD_MAX));
        assert!(short.params.values().all(|value| value.len() <= TEXT_MAX));
        assert_eq!(fault(&short), short, "what was cut stays as it is");
    }

    #[test]
    fn an_honest_report_stays_as_it_is() {
        let apps = vec![AppReport { fault: Some(fault_of(3, 60, "x")), ..app("web", Digest::of(b"r"), Phase::Failing) }];
        let said = Report { apps, faults: vec![fault_of(2, 30, "错")], ..plain(1, 1) };
        assert_eq!(report(said.clone()), said);
    }

    #[test]
    fn an_address_that_cannot_be_meant_is_none() {
        for (address, stays) in [
            ("192.168.7.21:7448", true),
            ("127.0.0.1:7448", true),
            ("[fd00::21]:1", true),
            ("0.0.0.0:7448", false),
            ("[::]:7448", false),
            ("[::ffff:0.0.0.0]:7448", false),
            ("224.0.0.1:7448", false),
            ("[ff02::1]:7448", false),
            ("192.168.7.21:0", false),
        ] {
            let address = Some(address.parse().expect("an address"));
            let said = Report { facts: Facts { address, ..plain(1, 1).facts }, ..plain(1, 1) };
            assert_eq!(report(said).facts.address, address.filter(|_| stays), "{address:?}");
        }
    }

    /// Whatever a node packs into one message, the answer about it is one that hubctl can read.
    #[test]
    fn no_report_makes_an_answer_too_long() {
        let app = |services: usize, fault: Option<Fault>| AppReport {
            services: vec![service(); services],
            fault,
            ..app("a", Digest::of(b"r"), Phase::Failing)
        };
        let good = Some(Good { release: Digest::of(b"g"), version: "\u{1}".repeat(900) });
        let back = AppReport { good, ..app(0, None) };
        let transfer = Transfer { image: Digest::of(b"i"), done: 0, total: 0, taken: 0, rate: 0, reused: 0, waits: None };
        for (what, said) in [
            ("empty faults", Report { faults: vec![fault_of(0, 0, ""); 131_000], ..plain(1, 1) }),
            ("long faults", Report { faults: vec![fault_of(8, 500, "\u{1}"); 56], ..plain(1, 1) }),
            ("apps with faults", Report { apps: vec![app(1, Some(fault_of(8, 90, "\u{1}"))); 240], ..plain(1, 1) }),
            ("apps with a way back", Report { apps: vec![back; 240], ..plain(1, 1) }),
            ("apps", Report { apps: vec![app(0, None); 3000], ..plain(1, 1) }),
            ("services of one app", Report { apps: vec![app(25_000, None)], ..plain(1, 1) }),
            ("services of many apps", Report { apps: vec![app(64, None); 340], ..plain(1, 1) }),
            ("transfers", Report { transfers: vec![transfer; 6800], ..plain(1, 1) }),
            ("a long version", Report { facts: Facts { version: "\u{1}".repeat(250_000), ..plain(1, 1).facts }, ..plain(1, 1) }),
        ] {
            let sent = v1::Up::Report(v1::Report::from(&said)).encode();
            assert!((MESSAGE_MAX * 3 / 4..=MESSAGE_MAX).contains(&sent.len()), "{what}: a message of {} bytes", sent.len());
            let mut life = Life::default();
            life.reported(said, UnixMillis(1));
            let shown = serde_json::to_vec(&node_status(&life, UnixMillis(1))).expect("json").len();
            assert!(shown < LINE_MAX, "{what}: {shown} bytes");
            let stored_before = crate::records::Fleet { report: sent, ..life.to_record() };
            assert_eq!(Life::from_record(stored_before).report, life.report, "{what}");
        }
    }
}
