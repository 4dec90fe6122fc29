use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use insta::assert_snapshot;
use portpass_jose::{CertificateChain, KeyIdForm, KeySet, SigningKey};
use portpass_token::{Audience, Issuer, Minter, NumericDate, ServiceName};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Signer, KeyPair};

use super::*;

const NOW: u64 = 1_700_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn token(header: &str, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(header), part(claims), part("signature"))
}

fn claims(access: &str) -> String {
    format!(
        r#"{{"iss":"dtest","sub":"ann","aud":"token-service","exp":{},"nbf":{},"iat":{NOW},"jti":"x","access":{access}}}"#,
        NOW + 290,
        NOW - 60
    )
}

const X5C: &str = r#"{"alg":"ES256","typ":"JWT","x5c":["AAAA"]}"#;

fn notes(header: &str, claims: &str) -> Vec<String> {
    Inspection::of(&token(header, claims), now()).unwrap().notes
}

#[test]
fn claims_are_shown_as_people_read_them() {
    let access = r#"[{"type":"repository","name":"a/b","actions":["pull"]}]"#;
    let inspection = Inspection::of(&token(X5C, &claims(access)), now()).unwrap();
    let rows = inspection.claim_rows(now());
    let rows: Vec<String> = rows.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_snapshot!(rows.join("\n"), @r#"
    aud: token-service
    exp: 2023-11-14T22:18:10Z (in 4 min 50 s)
    iat: 2023-11-14T22:13:20Z (now)
    iss: dtest
    jti: x
    nbf: 2023-11-14T22:12:20Z (1 min ago)
    sub: ann
    "#);
    assert_eq!(inspection.access().unwrap().to_string(), "repository:a/b:pull");
}

#[test]
fn a_token_is_found_in_what_people_paste() {
    for text in [
        "a.b.c",
        " a.b.c\n",
        "Bearer a.b.c",
        r#"{"token":"a.b.c"}"#,
        r#"{"access_token":"a.b.c","expires_in":300}"#,
    ] {
        assert_eq!(token_in(text).as_deref(), Ok("a.b.c"), "{text}");
    }
    assert_snapshot!(token_in(r#"{"jwt":"a.b.c"}"#).unwrap_err(), @r#"the token service's response has no token; its keys are "jwt""#);
}

/// The second story: what it turned out to be.
#[test]
fn what_is_no_jwt_is_said_to_be_none() {
    let refused = |token: &str| Inspection::of(token, now()).unwrap_err().to_string();
    assert_snapshot!(refused("0123456789abcdef"), @"token has 1 part, expected 3: it is not a JWT");
    assert_snapshot!(refused("a.b"), @"token has 2 parts, expected 3: it is not a JWT");
    assert_snapshot!(refused(""), @"token has 1 part, expected 3: it is not a JWT");
}

#[test]
fn what_some_registry_refuses_is_noted() {
    let pull = r#"[{"type":"repository","name":"a","actions":["pull"]}]"#;
    let good = claims(pull);
    let kid = |id: &str| format!(r#"{{"alg":"ES256","kid":"{id}"}}"#);
    let libtrust = "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6";
    let table = [
        (kid(libtrust), good.clone(), "only distribution 2 finds"),
        (
            kid("8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8"),
            good.clone(),
            "only distribution 3 finds",
        ),
        (kid("mine"), good.clone(), "a JWK set"),
        (r#"{"alg":"ES256"}"#.to_owned(), good.clone(), "names no key"),
        (r#"{"alg":"none","kid":"mine"}"#.to_owned(), good.clone(), "none"),
        (kid("mine"), good.replace("\"token-service\"", "[\"token-service\"]"), "not as a list"),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 75).to_string()),
            "it expired 1 min 15 s ago",
        ),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 20).to_string()),
            "registries accept",
        ),
        (
            kid("mine"),
            good.replace(&(NOW - 60).to_string(), &(NOW + 100).to_string()),
            "it becomes valid in 1 min 40 s",
        ),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 30).to_string()),
            "less than 60 s",
        ),
        (kid("mine"), good.replace(&(NOW + 290).to_string(), "\"soon\""), "`exp`"),
        (kid("mine"), claims("[]"), "grants nothing"),
        (
            kid("mine"),
            claims(r#"[{"type":"repository","name":"a","actions":[]}]"#),
            "repository:a was requested",
        ),
        (kid(&"m".repeat(4000)), good.clone(), "bytes"),
    ];
    for (header, claims, expected) in table {
        let notes = notes(&header, &claims);
        assert!(
            notes.iter().any(|note| note.contains(expected)),
            "{header}: {notes:?}, not {expected:?}"
        );
    }
}

/// Everything that is shown of a token, and what a registry says of it.
fn shown(token: &str, against: Option<TrustSettings>) -> String {
    let trusted = against.map(|against| against.read().unwrap());
    let inspection = Inspection::of(token, now()).unwrap();
    let mut lines: Vec<String> =
        inspection.header_rows().iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.push(format!("key: {}", inspection.key()));
    lines.push(inspection.key_ids(trusted.as_ref()).map_or_else(
        || "no key".to_owned(),
        |ids| format!("{}, {}\n{}\n{}", ids.kind, ids.found, ids.libtrust, ids.rfc7638),
    ));
    lines.extend(inspection.chain(now()).iter().map(|link| cells(&link.row())));
    let verdict = trusted.map(|trusted| inspection.verify(token, trusted, now()));
    lines.push(match verdict {
        None => "not checked".to_owned(),
        Some(Ok(())) => "holds".to_owned(),
        Some(Err(refusal)) => {
            let rows: Vec<&str> = refusal.failures.iter().map(|failure| failure.row).collect();
            let advice = refusal.what_to_do.unwrap();
            let id = [&[refusal.id], &rows[..]].concat().join(" ");
            format!("{id}\n{}\n{advice}", refusal.reason)
        }
    });
    lines.join("\n")
}

fn cells(row: &[String]) -> String {
    row.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<String>>().join(" | ")
}

/// A key that is the same in every run, so that its ids are.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ8JFu1pTwV/NR9AC
J0VwbkIBHq3mf1L4C0o/CcagVJuhRANCAARigSY7yudjJO7JKoY/t8tOCTpiZpl3
VrVhpi5OQqTZsGkh2txsvycMISzH6RVnIwHxdGbMuVO0COw62UEpuJFI
-----END PRIVATE KEY-----";

fn key() -> SigningKey {
    SigningKey::from_pem(KEY, None).unwrap()
}

/// A root's certificate, and the key with a chain below it: an authority between them.
fn certified(leaf_ends: u64) -> (String, SigningKey) {
    let at = |seconds: u64| (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into();
    let named = |name: &str, ends: u64| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = at(NOW - 1000);
        params.not_after = at(ends);
        params
    };
    let authority = |name: &str| {
        let mut params = named(name, NOW + 1_000_000);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root, root_key) = (authority("root"), KeyPair::generate().unwrap());
    let (middle, middle_key) = (authority("middle"), KeyPair::generate().unwrap());
    let leaf_key = KeyPair::from_pem(KEY).unwrap();
    let bundle = root.self_signed(&root_key).unwrap().pem();
    let by_root = Signer::from_params(&root, &root_key);
    let middle_certificate = middle.signed_by(&middle_key, &by_root).unwrap();
    let by_middle = Signer::from_params(&middle, &middle_key);
    let leaf = named("leaf", leaf_ends).signed_by(&leaf_key, &by_middle).unwrap();
    let chain = CertificateChain::from_pem(&(leaf.pem() + &middle_certificate.pem())).unwrap();
    (bundle, key().with_chain(chain).unwrap())
}

fn minted(key: &SigningKey, form: KeyIdForm) -> String {
    let claims = Claims {
        issuer: Issuer::new("dtest"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("token-service")),
        expires: NumericDate(i64::try_from(NOW).unwrap() + 300),
        not_before: None,
        issued_at: None,
        id: None,
        access: AccessSet::new(),
    };
    Minter::mint(key, form, &claims).unwrap()
}

/// A registry that trusts the key of these tests by its JWK set.
fn jwks() -> TrustSettings {
    let mut keys = KeySet::new();
    keys.insert(key().public().clone());
    TrustSettings { jwks: Some(keys.to_jwks()), ..TrustSettings::default() }
}

#[test]
fn a_chain_is_shown_link_by_link() {
    let (bundle, key) = certified(NOW + 86_400);
    let token = minted(&key, KeyIdForm::X5c);
    let against =
        || TrustSettings { bundle: Some(bundle.clone().into()), ..TrustSettings::default() };
    assert_snapshot!(shown(&token, Some(against())), @r#"
    alg: ES256
    typ: JWT
    key: a chain of 2 certificates: CN=leaf, issued by CN=middle
    a P-256 key (ES256), in its certificate
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    CN=leaf | CN=middle | 2023-11-14T21:56:40Z to 2023-11-15T22:13:20Z (ends in 1 d) | no | a P-256 key
    CN=middle | CN=root | 2023-11-14T21:56:40Z to 2023-11-26T12:00:00Z (ends in 11 d 13 h) | yes | a P-256 key
    holds
    "#);
    assert_snapshot!(shown(&token, Some(TrustSettings { issuer: Some("DTEST".into()), ..against() })), @r#"
    alg: ES256
    typ: JWT
    key: a chain of 2 certificates: CN=leaf, issued by CN=middle
    a P-256 key (ES256), in its certificate
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    CN=leaf | CN=middle | 2023-11-14T21:56:40Z to 2023-11-15T22:13:20Z (ends in 1 d) | no | a P-256 key
    CN=middle | CN=root | 2023-11-14T21:56:40Z to 2023-11-26T12:00:00Z (ends in 11 d 13 h) | yes | a P-256 key
    token-issuer-mismatch F75
    issuer "dtest" is not "DTEST"
    `registry.auth.token.issuer` and the token service's `issuer` differ
    "#);
    assert_snapshot!(shown(&token, Some(jwks())), @r#"
    alg: ES256
    typ: JWT
    key: a chain of 2 certificates: CN=leaf, issued by CN=middle
    a P-256 key (ES256), in its certificate
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    CN=leaf | CN=middle | 2023-11-14T21:56:40Z to 2023-11-15T22:13:20Z (ends in 1 d) | no | a P-256 key
    CN=middle | CN=root | 2023-11-14T21:56:40Z to 2023-11-26T12:00:00Z (ends in 11 d 13 h) | yes | a P-256 key
    chain-without-bundle
    the token contains certificates, but the registry trusts none
    the token has certificates, but the registry has only `jwks`: set `rootcertbundle`
    "#);
}

#[test]
fn a_chain_of_the_past_or_of_nonsense_is_shown_as_what_it_is() {
    let (bundle, key) = certified(NOW - 75);
    let against = TrustSettings { bundle: Some(bundle.into()), ..TrustSettings::default() };
    assert_snapshot!(shown(&minted(&key, KeyIdForm::X5c), Some(against)), @r#"
    alg: ES256
    typ: JWT
    key: a chain of 2 certificates: CN=leaf, issued by CN=middle
    a P-256 key (ES256), in its certificate
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    CN=leaf | CN=middle | 2023-11-14T21:56:40Z to 2023-11-14T22:12:05Z (ended 1 min 15 s ago) | no | a P-256 key
    CN=middle | CN=root | 2023-11-14T21:56:40Z to 2023-11-26T12:00:00Z (ends in 11 d 13 h) | yes | a P-256 key
    chain-expired F88
    the certificate of "CN=leaf" expired 75 s ago
    renew the certificate of the token service's key, and check the clock
    "#);
    let nonsense = r#"{"alg":"ES256","x5c":["AAAA","-",5]}"#;
    assert_snapshot!(shown(&token(nonsense, &claims("[]")), None), @r#"
    alg: ES256
    key: a chain of 3 certificates, which cannot be read
    no key
    unreadable: not a readable X.509 certificate: it is not the DER of a certificate, or is damaged or cut off
    unreadable: it is not base64
    unreadable: it is a number
    not checked
    "#);
}

#[test]
fn a_key_that_is_trusted_has_both_ids_whichever_the_token_names() {
    let libtrust = minted(&key(), KeyIdForm::Libtrust);
    assert_snapshot!(shown(&libtrust, None), @r#"
    alg: ES256
    typ: JWT
    key: 2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW, a libtrust fingerprint
    no key
    not checked
    "#);
    assert_snapshot!(shown(&libtrust, Some(jwks())), @r#"
    alg: ES256
    typ: JWT
    key: 2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW, a libtrust fingerprint
    a P-256 key (ES256), in the JWK set
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    holds
    "#);
    let (bundle, _) = certified(NOW + 86_400);
    let thumbprint = minted(&key(), KeyIdForm::Rfc7638);
    let service = Some("other".to_owned());
    assert_snapshot!(shown(&thumbprint, Some(TrustSettings { service, ..jwks() })), @r#"
    alg: ES256
    typ: JWT
    key: TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8, an RFC 7638 thumbprint
    a P-256 key (ES256), in the JWK set
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    token-audience-mismatch F76
    audience "token-service" is not "other"
    `registry.auth.token.service` and the `service` that the token was made for differ
    "#);
    let against = TrustSettings { bundle: Some(bundle.into()), ..TrustSettings::default() };
    let unknown = shown(&thumbprint, Some(against));
    assert!(unknown.contains("no key\ntoken-key-unknown F81 F83 F85 F92"), "{unknown}");
    let own = certificate_of_its_own();
    let against = TrustSettings { bundle: Some(own.into()), ..TrustSettings::default() };
    let found = shown(&thumbprint, Some(against));
    assert!(found.contains("in the bundle") && found.ends_with("holds"), "{found}");
}

/// Its own certificate, self-signed: what many have in their bundle.
fn certificate_of_its_own() -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "own");
    params.self_signed(&KeyPair::from_pem(KEY).unwrap()).unwrap().pem()
}

#[test]
fn an_embedded_key_is_known_and_a_secret_one_is_not_shown() {
    let set: Value = jwks().jwks.unwrap().parse().unwrap();
    let header = format!(r#"{{"alg":"ES256","jwk":{}}}"#, set["keys"][0]);
    assert_snapshot!(shown(&token(&header, &claims("[]")), None), @r#"
    alg: ES256
    key: TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8, an RFC 7638 thumbprint, in an embedded key
    a P-256 key (ES256), in its header
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    not checked
    "#);
    let secret = r#"{"alg":"HS256","jwk":{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}}"#;
    let said = shown(&token(secret, &claims("[]")), Some(jwks()));
    assert_snapshot!(said, @r#"
    alg: HS256
    key: an embedded key without an id
    no key
    token-embedded-key-malformed
    the token's header contains a secret: its `jwk` is a private or symmetric key
    the `jwk` in the header is broken, or it is a private key. If it is private, replace that key
    "#);
    assert!(!said.contains("c2Vj"), "{said}");
}

#[test]
fn what_is_signed_by_nobody_is_refused_as_its_registry_does() {
    let none = token(r#"{"alg":"none","kid":"mine"}"#, &claims("[]"));
    assert_snapshot!(shown(&none, Some(jwks())), @r#"
    alg: none
    key: mine, the issuer's own name
    no key
    token-algorithm-unknown F89
    the token's header names the signature algorithm "none", which is not supported
    `alg` is missing, is `none`, or is not a signing algorithm of tokens
    "#);
    let forged = minted(&key(), KeyIdForm::Rfc7638);
    let (signed, _) = forged.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([1; 64]));
    assert_snapshot!(shown(&forged, Some(jwks())), @r#"
    alg: ES256
    typ: JWT
    key: TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8, an RFC 7638 thumbprint
    a P-256 key (ES256), in the JWK set
    2M6P:YRUT:YDLI:VRTJ:HTKM:QZKB:ERTA:KGLW:YEAC:KDCS:K55R:MNSW
    TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8
    token-signature-wrong F84
    the token's ES256 signature was not made with the trusted key "TK4IGXU63xcJX8t__OwEhzQ3iFfrtGb3x-4niXQDlv8"
    another key signed the token: the token service was set up again with the same names, or the token was changed
    "#);
}

#[test]
fn whom_a_registry_could_not_trust_is_no_verdict_on_the_token() {
    let said = |against: TrustSettings| against.read().unwrap_err().to_string();
    let bundle = TrustSettings { bundle: Some("nothing".into()), ..TrustSettings::default() };
    assert_snapshot!(said(bundle), @"the bundle cannot be used: there is no certificate; expected a PEM block `-----BEGIN CERTIFICATE-----`");
    assert_snapshot!(said(TrustSettings { jwks: Some("{}".into()), ..TrustSettings::default() }), @"the keys cannot be used: not a JWK set: `keys` is missing");
    let partly = TrustSettings { jwks: Some(r#"{"keys":[5]}"#.into()), ..TrustSettings::default() };
    assert_snapshot!(partly.read().unwrap().skipped.join("\n"), @"entry 1 of the JWK set cannot be used: it is a number, expected an object");
}

#[test]
fn what_strangers_wrote_moves_no_cursor() {
    let header = r#"{"alg":"ES256","kid":"\u001b[2J"}"#;
    let claims = claims(r#"[{"type":"repository","name":"a\u001b[2J","actions":[]}]"#)
        .replace("dtest", "d\\u001b[2J");
    let inspection = Inspection::of(&token(header, &claims), now()).unwrap();
    let rows = [inspection.header_rows(), inspection.claim_rows(now()), inspection.access_rows()];
    let rows = rows.concat().into_iter().map(|(_, value)| value);
    let texts: Vec<String> =
        rows.chain(inspection.notes.clone()).chain([inspection.key()]).collect();
    assert!(texts.iter().any(|text| text.contains("d\u{fffd}[2J")), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains('\u{1b}')), "{texts:?}");
}

/// The id that `docker_auth` 1.14 writes for every key of P-256.
const BASE_POINT: &str = "xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M";

/// That is the fault, as `diagnose` has it, and not a key that is missing somewhere.
#[test]
fn an_id_that_is_of_no_key_is_called_so_everywhere() {
    let token = token(&format!(r#"{{"alg":"ES256","kid":"{BASE_POINT}"}}"#), &claims("[]"));
    let inspection = Inspection::of(&token, now()).unwrap();
    let note = inspection.notes.first().unwrap();
    for part in ["base point of P-256", "(F91)", "sign with an RSA key", "as a JWK set"] {
        assert!(note.contains(part), "{note}");
    }
    assert!(!inspection.notes.join("\n").contains("alone"), "{:?}", inspection.notes);
    let refused = inspection.verify(&token, jwks().read().unwrap(), now()).unwrap_err();
    assert_eq!(refused.id, "token-key-unknown");
    assert!(refused.reason.contains("base point of P-256"), "{}", refused.reason);
    assert!(refused.what_to_do.unwrap().contains("sign with an RSA key"), "{refused:?}");
    let rows: Vec<&str> = refused.failures.iter().map(|failure| failure.row).collect();
    assert_eq!(rows, ["F91"]);
}
