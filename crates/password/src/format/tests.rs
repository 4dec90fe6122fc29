//! Hashes below were written by Apache's `htpasswd` unless said otherwise.

use proptest::prelude::*;

use super::*;

fn current(text: &str) -> Result<PasswordHash, FormatError> {
    PasswordHash::parse(text, Formats::Current)
}

fn legacy(text: &str) -> Result<PasswordHash, FormatError> {
    PasswordHash::parse(text, Formats::Legacy)
}

#[test]
fn everything_that_htpasswd_writes_is_verified() {
    let long = "a long password of more than 16 characters, with ümläut";
    for (text, password, cost) in [
        (
            "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu",
            "opensesame",
            Cost::Bcrypt(5),
        ),
        ("$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ0", "opensesame", Cost::Apr1),
        ("$apr1$Kh6KqTFh$GYCVOq2cRAlcMFTka6gP3.", long, Cost::Apr1),
        ("{SHA}F2GPAaOiG5EcklvLUlodIavTBnM=", "opensesame", Cost::Nothing),
        (
            "$5$EhQl2uqVKKYK75cs$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
            "opensesame",
            Cost::Sha256Crypt(5_000),
        ),
        (
            "$5$wFSbUPcWNQc/Ch.z$QvnBcJDe/JTHjPb5E1boAtRtZe8mW3VUdWhYB491x35",
            long,
            Cost::Sha256Crypt(5_000),
        ),
        (
            "$6$JAu96dy01u7V9.WV$0nPHD/x4lAY08YA.T6SP7Kja1ygjb8nZYZHchrAv0M5fAmg64qsgUhoYHj8lTdU3RU4NBBwYmGkrs2RMy1QMC0",
            "opensesame",
            Cost::Sha512Crypt(5_000),
        ),
        (
            "$6$rounds=20000$5BPhiz6itnwQsLAS$LgSlydHRIidFBE9KPjn542dqzndBeEw89gdnqUBlc/G6zztMZIaPi8RF/vQ7vQcSTFjTGEcQaHskio.DTIpvz0",
            "opensesame",
            Cost::Sha512Crypt(20_000),
        ),
    ] {
        let hash = legacy(text).unwrap();
        assert_eq!(hash.cost(), cost, "{text}");
        assert_eq!(hash.verify(password.as_bytes()), Comparison::Match, "{text}");
        assert_eq!(hash.verify(b"Opensesame"), Comparison::Mismatch, "{text}");
        assert_eq!(hash.verify(b""), Comparison::Mismatch, "{text}");
        assert_eq!(hash.expose(), text);
    }
}

/// HT5.
#[test]
fn any_version_letter_of_bcrypt_counts_or_none() {
    let end = "$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
    for version in ["$2a", "$2b", "$2x", "$2y", "$2"] {
        let hash = current(&format!("{version}{end}")).unwrap();
        assert_eq!(hash.verify(b"opensesame"), Comparison::Match, "{version}");
    }
    for version in ["$2A", "$2c", "$2yy", "$3a", "$2 "] {
        assert!(current(&format!("{version}{end}")).is_err(), "{version}");
    }
}

/// HT5: `htpasswd -nbB ann aaa…` with ninety of them.
#[test]
fn bcrypt_ignores_what_lies_beyond_72_bytes() {
    let hash = current("$2y$05$rW5TVfC9ZCrhJgfdVllhX.ZfXflpWwYWWUFjTnii5/Ktp1i2Bq6aS").unwrap();
    for length in [72, 73, 90, 5_000] {
        assert_eq!(hash.verify(&vec![b'a'; length]), Comparison::Match, "{length}");
    }
    assert_eq!(hash.verify(&[b'a'; 71]), Comparison::Mismatch);
    let mut other = [b'a'; 90];
    other[71] = b'b';
    assert_eq!(hash.verify(&other), Comparison::Mismatch);
}

/// HT5.
#[test]
fn bcrypt_ignores_text_after_its_hash_and_takes_an_empty_password() {
    let empty = "$2y$05$eENeEfHAjnQs5BcHFEYx/OUmD6ohaNEZQwkSnfF.jRg9mDMIyev5m";
    for text in [empty.to_owned(), format!("{empty}:a comment"), format!("{empty}ü")] {
        assert_eq!(current(&text).unwrap().verify(b""), Comparison::Match, "{text}");
        assert_eq!(current(&text).unwrap().verify(b" "), Comparison::Mismatch, "{text}");
    }
}

/// The bits that a salt's last character has too many are ignored, as Go and crypt(3) do:
/// `.` and `/` decode to the same sixteen bytes there.
#[test]
fn a_salt_with_bits_too_many_is_read() {
    let hash =
        |salt_end| format!("$2a$05$.....................{salt_end}YgIDy4hFBdVlc/6LHnD9mX488r9cLd2");
    let password = [b'x'; 100];
    for end in ['.', '/'] {
        let hash = current(&hash(end)).unwrap();
        assert_eq!(hash.verify(&password), Comparison::Match, "{end}");
    }
}

/// A parser of bcrypt panicked on some texts (RUSTSEC-2026-0199).
#[test]
fn text_of_another_script_is_malformed_and_no_panic() {
    let korean = "공주님".repeat(9);
    assert_eq!(
        current(&korean).unwrap_err(),
        FormatError::NeverAccepted { format: "what is neither bcrypt nor argon2id" }
    );
    let begins = "$2y$05$".to_owned() + &"공".repeat(20);
    assert!(matches!(current(&begins), Err(FormatError::Malformed { format: "bcrypt", .. })));
    for shift in 0..6 {
        let text = "$2y$05$"[..7 - shift].to_owned() + &"é".repeat(30);
        assert!(legacy(&text).is_err(), "{text}");
    }
}

/// HT5
#[test]
fn a_bcrypt_cost_is_between_4_and_31_and_not_above_what_a_pool_can_bear() {
    let hash = |cost: &str| {
        current(&format!("$2y${cost}$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu"))
    };
    for cost in ["04", "05", "10", "14"] {
        assert_eq!(hash(cost).unwrap().cost(), Cost::Bcrypt(cost.parse().unwrap()));
    }
    for cost in ["00", "03", "32", "99"] {
        let cost_number = cost.parse().unwrap();
        assert_eq!(hash(cost).unwrap_err(), FormatError::BcryptCost { cost: cost_number });
    }
    for cost in ["15", "20", "31"] {
        let cost_number = cost.parse().unwrap();
        assert_eq!(hash(cost).unwrap_err(), FormatError::BcryptTooCostly { cost: cost_number });
    }
    for cost in ["5", "+5", "-5", "0x", "005", ""] {
        assert!(matches!(hash(cost), Err(FormatError::Malformed { .. })), "{cost}");
    }
}

/// HT5
/// `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`, as the reference implementation's own
/// test (`test.c` of phc-winner-argon2) has it.
#[test]
fn argon2id_of_the_reference_implementation_is_verified() {
    let hash = current(
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    )
    .unwrap();
    assert_eq!(hash.verify(b"password"), Comparison::Match);
    assert_eq!(hash.verify(b"differentpassword"), Comparison::Mismatch);
    let lanes = current(
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    )
    .unwrap();
    assert_eq!(lanes.verify(b"password"), Comparison::Match);
}

#[test]
fn a_new_hash_reads_back_and_knows_its_password() {
    let hash = PasswordHash::argon2id("pässword".as_bytes(), [7; 16]);
    let text = hash.expose();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let again = current(text).unwrap();
    assert_eq!(again.verify("pässword".as_bytes()), Comparison::Match);
    assert_eq!(again.verify(b"password"), Comparison::Mismatch);
    assert_eq!(again.cost(), Cost::Argon2id(crate::cost::Argon2Params::DEFAULT));
}

#[test]
fn argon2id_that_would_hold_a_core_or_the_memory_is_refused() {
    let hash = |parameters: &str| {
        current(&format!(
            "$argon2id$v=19${parameters}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        ))
    };
    for parameters in ["m=8,t=1,p=1", "m=19456,t=2,p=1", "m=65536,t=3,p=4", "m=131072,t=8,p=1"] {
        assert!(hash(parameters).is_ok(), "{parameters}");
    }
    for parameters in
        ["m=131073,t=1,p=1", "m=131072,t=9,p=1", "m=8,t=4294967295,p=1", "m=4294967295,t=1,p=1"]
    {
        assert!(
            matches!(hash(parameters), Err(FormatError::Argon2TooCostly { .. })),
            "{parameters}"
        );
    }
    for parameters in [
        "m=8,t=0,p=1",
        "m=7,t=1,p=1",
        "m=8,t=1,p=0",
        "m=8,t=1,p=16777216",
        "m=8,t=1",
        "t=1,m=8,p=1",
        "m=8,t=1,p=1,keyid=AAAA",
        "m=08,t=1,p=1",
        "m=+8,t=1,p=1",
        "m=99999999999,t=1,p=1",
        "",
    ] {
        assert!(matches!(hash(parameters), Err(FormatError::Malformed { .. })), "{parameters}");
    }
}

#[test]
fn malformed_hashes_are_refused_with_what_is_wrong() {
    for text in [
        "$2",
        "$2y",
        "$2y$",
        "$2y$05",
        "$2y$05$",
        "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrM",
        "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0Foaj$AtK1zbeyCOrMu",
        "$argon2id$",
        "$argon2id$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=8,t=1,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$",
        "$apr1$",
        "$apr1$123456789$BOgI8TVk.iP7HKjZrgHCQ0",
        "$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ",
        "$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHC공",
        "{SHA}",
        "{SHA}F2GPAaOiG5EcklvLUlodIavTBn==",
        "$5$",
        "$5$salt",
        "$5$salt$short",
        "$5$rounds=x$salt$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
        "$5$a salt$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
        "$5$seventeen12345678$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
        "$6$salt$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
    ] {
        assert!(matches!(legacy(text), Err(FormatError::Malformed { .. })), "{text}");
    }
    for rounds in ["999", "500001", "4294967295"] {
        let text = format!("$5$rounds={rounds}$salt$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25");
        assert!(matches!(legacy(&text), Err(FormatError::ShaCryptRounds { .. })), "{rounds}");
    }
}

#[test]
fn quick_hashes_count_only_on_request() {
    for text in [
        "$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ0",
        "{SHA}F2GPAaOiG5EcklvLUlodIavTBnM=",
        "$5$EhQl2uqVKKYK75cs$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
        "$6$salt$x",
    ] {
        let reason = current(text).unwrap_err();
        assert!(matches!(reason, FormatError::LegacyNotAllowed { .. }), "{text}");
        assert!(reason.to_string().contains("`legacy_hashes: true`"), "{reason}");
    }
}

#[test]
fn des_and_plain_text_are_never_accepted_and_never_repeated() {
    for text in
        ["2pMSb2DBjuAQ6", "opensesame", "$ecret$word", "", "$1$salt$hash", "$argon2i$v=19$x"]
    {
        let reason = legacy(text).unwrap_err();
        assert!(matches!(reason, FormatError::NeverAccepted { .. }), "{text}");
        let said = reason.to_string();
        assert!(said.contains("htpasswd -B"), "{said}");
        assert!(text.is_empty() || !said.contains(text), "{said}");
    }
    assert!(legacy("2pMSb2DBjuAQ6").unwrap_err().to_string().contains("DES crypt"));
}

#[test]
fn doubled_dollars_are_recognised() {
    let text = "$$2y$$05$$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
    assert_eq!(current(text).unwrap_err(), FormatError::DoubledDollars);
}

#[test]
fn quick_hashes_do_not_let_a_long_password_take_long() {
    let a256 = [b'a'; 256];
    let end = legacy::apr1(&a256, b"salt");
    let hash = legacy(&format!("$apr1$salt${}", str::from_utf8(&end).unwrap())).unwrap();
    assert_eq!(hash.verify(&a256), Comparison::Match);
    assert_eq!(hash.verify(&[b'a'; 257]), Comparison::Mismatch);
}

#[test]
fn debug_shows_the_cost_and_nothing_else() {
    let text = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
    let shown = format!("{:?}", current(text).unwrap());
    assert_eq!(shown, "PasswordHash { cost: Bcrypt(5), .. }");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = legacy(&text);
    }

    #[test]
    fn no_text_that_begins_like_a_hash_makes_the_parser_panic(
        prefix in prop::sample::select(vec!["$2y$05$", "$2", "$argon2id$v=19$", "$apr1$", "$5$", "$6$rounds=", "{SHA}"]),
        text in "[./0-9A-Za-z$=,é공]{0,90}",
    ) {
        let _ = legacy(&(prefix.to_owned() + &text));
    }

    #[test]
    fn bcrypt_and_apr1_tell_passwords_apart(a in ".{0,40}", b in ".{0,40}") {
        prop_assume!(a != b && !a.contains('\0') && !b.contains('\0'));
        let cheap = bcrypt::hash(a.as_bytes(), 4, [1; 16]);
        prop_assert_ne!(cheap, bcrypt::hash(b.as_bytes(), 4, [1; 16]));
        prop_assert_ne!(legacy::apr1(a.as_bytes(), b"salt"), legacy::apr1(b.as_bytes(), b"salt"));
    }
}

/// Another scheme, less memory, or less of memory times passes.
#[test]
fn what_new_passwords_take_more_than_is_outdated() {
    let argon2id = |parameters: &str| {
        format!(
            "$argon2id$v=19${parameters}$c29tZXNhbHRzb21lc2FsdA$3d5OJMl9nIPkVTU4F4f1PC+WVfHWgQyNSzSxFKUmAHE"
        )
    };
    for (text, is_outdated) in [
        (PasswordHash::argon2id(b"x", [1; 16]).expose().to_owned(), false),
        (argon2id("m=19456,t=2,p=1"), false),
        (argon2id("m=65536,t=1,p=4"), false),
        (argon2id("m=19456,t=1,p=1"), true),
        (argon2id("m=4096,t=20,p=1"), true),
        ("$2y$14$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu".to_owned(), true),
        ("{SHA}F2GPAaOiG5EcklvLUlodIavTBnM=".to_owned(), true),
    ] {
        let hash = PasswordHash::parse(&text, Formats::Legacy).unwrap();
        assert_eq!(hash.is_outdated(), is_outdated, "{text}");
    }
}
