//! Awards: what the product itself promised, for an invitation, for money, or for a promotion's code (guide, *How to
//! Obtain Credits*).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::command::Command;
use edge_credits::entry::{Source, payment_grant_id};
use edge_credits::invitation::{self, MOST_REWARDED};
use edge_credits::promotion::{self, Promotion};
use edge_credits::refusal::Code;
use serde_json::json;
use support::{Json, Ledger, catalog_with, published, time, value};

const NOON: &str = "2025-03-10T12:00:00Z";

fn invited(code: &str) -> Command {
    let source = Source::Invited {
        code: code.to_owned(),
    };
    Command::Award {
        new: invitation::reward(time(NOON)),
        source,
    }
}

fn inviting(redemption: &str) -> Command {
    let source = Source::Inviting {
        redemption: redemption.to_owned(),
    };
    Command::Award {
        new: invitation::reward(time(NOON)),
        source,
    }
}

fn paid(payment: &str, pack: &str) -> Command {
    let source = Source::Payment {
        payment: payment.to_owned(),
        pack: pack.to_owned(),
    };
    Command::Award {
        new: published().pack(pack).unwrap().grant(time(NOON)),
        source,
    }
}

fn account() -> Ledger {
    Ledger::open_at(NOON, json!({"plan": "free"}))
}

#[test]
fn an_account_is_invited_once_and_may_invite_twenty() {
    let mut ledger = account();
    ledger.do_(&invited("CODE"));
    assert_eq!(ledger.available(), 600);
    for code in ["CODE", "ANOTHER"] {
        assert_eq!(
            ledger.refuse(&invited(code)).code,
            Code::InvitationAlreadyRedeemed
        );
    }
    for number in 0..MOST_REWARDED {
        ledger.do_(&inviting(&format!("redemption {number}")));
    }
    assert_eq!(ledger.available(), 600 + 20 * 500);
    assert_eq!(
        ledger.refuse(&inviting("one more")).code,
        Code::InvitationExhausted
    );
    assert_eq!(
        ledger.attempt(&inviting("redemption 7")),
        Ok(vec![]),
        "it was rewarded before"
    );
    assert_eq!(ledger.available_at("2025-03-17T11:59:59Z"), 100 + 21 * 500);
    assert_eq!(ledger.available_at("2025-03-17T12:00:00Z"), 100);
}

#[test]
fn a_payment_makes_one_grant_even_after_its_end() {
    let mut ledger = account();
    ledger.do_(&paid("pi_1", "pack-500"));
    ledger.do_(&paid("pi_2", "pack-100"));
    assert_eq!(ledger.available(), 700);
    assert_eq!(ledger.attempt(&paid("pi_1", "pack-500")), Ok(vec![]));
    ledger.void(&payment_grant_id("pi_1"));
    assert_eq!(ledger.available(), 200);
    assert_eq!(
        ledger.attempt(&paid("pi_1", "pack-500")),
        Ok(vec![]),
        "money that went back stays so"
    );
    ledger.at("2025-09-01T12:00:00Z");
    assert_eq!(ledger.attempt(&paid("pi_2", "pack-100")), Ok(vec![]));
    assert_eq!(ledger.available(), 100);
}

#[test]
fn a_promotion_is_redeemed_once_while_it_is_open() {
    let terms = json!({"credits": 50, "starts_at": NOON, "ends_at": "2025-03-11T12:00:00Z", "valid_days": 3});
    let spring = Promotion::parse("SPRING", &value(terms), published()).unwrap();
    let rows = [
        ("2025-03-10T11:59:59Z", false),
        (NOON, true),
        ("2025-03-11T11:59:59Z", true),
        ("2025-03-11T12:00:00Z", false),
    ];
    for (at, open) in rows {
        assert_eq!(spring.is_open(time(at)), open, "{at}");
    }
    let redeem = Command::Award {
        new: spring.grant(time(NOON)),
        source: Source::Promotion {
            code: "SPRING".to_owned(),
        },
    };
    let mut ledger = account();
    ledger.do_(&redeem);
    assert_eq!(ledger.available(), 150);
    assert_eq!(ledger.refuse(&redeem).code, Code::PromotionAlreadyRedeemed);
    assert_eq!(ledger.available_at("2025-03-13T12:00:00Z"), 100);
}

#[test]
fn codes_are_read_as_people_write_them() {
    let mut bytes = [0_u8; 32];
    assert_eq!(invitation::code(&bytes), "000000000000");
    bytes[..8].copy_from_slice(&[0xff; 8]);
    assert_eq!(invitation::code(&bytes), "ZZZZZZZZZZZZ");
    let digits = (1..=12).fold(0_u64, |bits, digit| (bits << 5) | digit);
    bytes[..8].copy_from_slice(&(digits << 4).to_be_bytes());
    assert_eq!(invitation::code(&bytes), "123456789ABC");
    for text in [
        "123456789ABC",
        "1234-5678-9abc",
        " l23456789abc ",
        "I23456789ABC",
    ] {
        assert_eq!(
            invitation::read_code(text).as_deref(),
            Some("123456789ABC"),
            "{text}"
        );
    }
    for text in [
        "",
        "123456789AB",
        "123456789ABCD",
        "123456789ABU",
        "123456789ABé",
    ] {
        assert_eq!(invitation::read_code(text), None, "{text}");
    }
    assert_eq!(
        promotion::read_code(" spring-25 ").as_deref(),
        Some("SPRING-25")
    );
    for text in ["", "ab", "a b c", "spring/25", "größe"] {
        assert_eq!(promotion::read_code(text), None, "{text}");
    }
}

#[test]
fn a_catalog_says_what_packs_cost() {
    let packs: Vec<_> = published()
        .packs()
        .iter()
        .map(|pack| (pack.id.as_str(), pack.price_cents, pack.valid_days))
        .collect();
    assert_eq!(
        packs,
        [
            ("pack-100", 100, 90),
            ("pack-500", 500, 90),
            ("pack-1000", 1000, 90),
            ("pack-2000", 2000, 90)
        ]
    );
    let change = |change: fn(&mut Json)| catalog_with(change).hash().to_owned();
    let dearer = change(|catalog| catalog["packs"][0]["price_cents"] = json!(101));
    let shorter = change(|catalog| catalog["packs"][0]["valid_days"] = json!(89));
    let none = change(|catalog| catalog["packs"] = json!([]));
    for hash in [&dearer, &shorter, &none] {
        assert_ne!(hash, published().hash(), "what is sold is part of the hash");
    }
}
