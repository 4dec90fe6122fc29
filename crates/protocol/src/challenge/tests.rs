use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Quotable {
    Quotable::new("text", text).unwrap()
}

fn needed(scopes: &str) -> Vec<Access> {
    scopes.parse::<AccessSet>().unwrap().into_iter().collect()
}

fn bearer() -> Bearer {
    Bearer::new(text("https://auth.example.com/token"), text("registry"))
}

/// CH1 to CH6
#[test]
fn challenges_are_written_in_the_one_form_that_all_clients_read() {
    let pull_push = needed("repository:a/b:pull,push");
    let mount = needed("repository:a/b:pull,push repository:c/d:pull");
    assert_snapshot!(bearer(), @r#"Bearer realm="https://auth.example.com/token",service="registry""#);
    assert_snapshot!(bearer().scope(&[]), @r#"Bearer realm="https://auth.example.com/token",service="registry""#);
    assert_snapshot!(bearer().scope(&pull_push), @r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#);
    assert_snapshot!(bearer().scope(&mount).error(BearerError::InsufficientScope), @r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push repository:c/d:pull",error="insufficient_scope""#);
    assert_snapshot!(bearer().scope(&[Access::catalog()]).error(BearerError::InvalidToken), @r#"Bearer realm="https://auth.example.com/token",service="registry",scope="registry:catalog:*",error="invalid_token""#);
    assert_snapshot!(Bearer::new(text(""), text("")), @r#"Bearer realm="",service="""#);
}

/// CH4: `from` may name the very repository that is written to.
#[test]
fn one_resource_is_named_once() {
    let twice = [needed("repository:a/b:pull,push"), needed("repository:a/b:pull")].concat();
    assert!(bearer().scope(&twice).to_string().ends_with(r#"scope="repository:a/b:pull,push""#));
}

/// CH14
#[test]
fn basic_and_silly_challenges_are_those_of_distribution() {
    assert_snapshot!(Basic::new(text("Registry")), @r#"Basic realm="Registry""#);
    assert_snapshot!(Basic::new(text("Registry")).utf8(), @r#"Basic realm="Registry",charset="UTF-8""#);
    let mount = needed("repository:foo:pull,push repository:bar:pull");
    assert_snapshot!(bearer().scope_per_action(&mount), @r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:foo:pull repository:foo:push repository:bar:pull""#);
}

/// CH11
#[test]
fn only_quotes_and_backslashes_are_escaped() {
    let silly = Bearer::new(text(r#"silly "realm" \x"#), text("a,b=c'd"));
    assert_snapshot!(silly, @r#"Bearer realm="silly \"realm\" \\x",service="a,b=c'd""#);
    for refused in ["line\nbreak", "tab\t", "nul\0", "é", "\u{7f}"] {
        let error = Quotable::new("realm", refused).unwrap_err().to_string();
        assert!(error.starts_with("realm "), "{error}");
    }
    assert_snapshot!(Quotable::new("service", "Regístry").unwrap_err(), @r#"service "Regístry" has the character 'í'; a challenge carries printable ASCII alone"#);
}

/// CH12
#[test]
fn a_name_cannot_smuggle_in_another_scope() {
    let names = ["a b:push", "a\" b", "a\nb", "é"];
    let evil: Vec<Access> =
        names.iter().map(|name| Access::repository(name, ["pull".into()])).collect();
    assert_eq!(bearer().scope(&evil), bearer());
    assert_eq!(bearer().scope_per_action(&evil), bearer());
}

/// CH13
#[test]
fn a_realm_can_be_where_the_client_already_is() {
    let origin =
        Origin { scheme: "http".parse().unwrap(), authority: "[::1]:5000".parse().unwrap() };
    assert_eq!(Quotable::at(&origin, &text("/token")).as_str(), "http://[::1]:5000/token");
}

/// What one peer made of one row of the record.
#[derive(Debug)]
struct Row {
    title: String,
    lines: Vec<String>,
    /// The parameters of the `Bearer` challenge that the peer goes on with, if it does.
    readings: BTreeMap<KnownClient, Option<BTreeMap<String, String>>>,
}

/// Reads the record of the clients' own parsers: a title, the header lines as Go quotes them, and a
/// line for each challenge that a client saw.
fn record() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in include_str!("dialects.txt").lines() {
        if let Some(title) = line.strip_prefix("### ") {
            let readings = KnownClient::ALL.into_iter().map(|peer| (peer, None)).collect();
            rows.push(Row { title: title.to_owned(), lines: Vec::new(), readings });
            continue;
        }
        let row = rows.last_mut().unwrap();
        if let Some(quoted) = line.strip_prefix("    [\"").and_then(|line| line.strip_suffix("\"]"))
        {
            row.lines = quoted.split("\" \"").map(unquote).collect();
            continue;
        }
        let mut words = line.splitn(2, ['{']);
        let mut head = words.next().unwrap().split_whitespace();
        let peer = match head.next().unwrap() {
            "dist" => KnownClient::Docker,
            "ctrd" => KnownClient::Containerd,
            "cimg" => KnownClient::Podman,
            "ggcr" => KnownClient::Crane,
            "oras" => KnownClient::Oras,
            "regc" => KnownClient::Regclient,
            other => panic!("{other} is nobody"),
        };
        let is_bearer = matches!(head.next(), Some("bearer" | "Bearer" | "4"));
        let parameters = words.next().unwrap_or("nil}").trim_end_matches('}');
        if is_bearer && row.readings[&peer].is_none() {
            let read = parameters.split("; ").filter_map(|pair| pair.split_once('='));
            let read = read.map(|(name, value)| (name.to_owned(), value.to_owned()));
            row.readings.insert(peer, Some(told(read)));
        }
    }
    rows
}

fn unquote(quoted: &str) -> String {
    quoted.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// The parameters that a client acts on; an empty one says as much as none.
fn told(parameters: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let acted_on = ["realm", "service", "scope", "error"];
    parameters
        .filter(|(name, value)| acted_on.contains(&name.as_str()) && !value.is_empty())
        .collect()
}

/// Who stumbles is what their parsers were seen to do, and not more: the record decides, with the
/// two cases that no parser shows but the clients' code does (R3).
#[test]
fn who_breaks_is_who_was_seen_to_read_something_else() {
    let rows = record();
    assert_eq!(rows.len(), 25);
    for row in rows {
        let challenges = parse(&row.lines);
        let ours = challenges.bearer().map(|bearer| told(bearer.parameters.iter().cloned()));
        let broken = row.readings.iter().filter(|(_, theirs)| {
            **theirs != ours || !theirs.as_ref().is_some_and(|read| read.contains_key("realm"))
        });
        let mut broken: BTreeSet<KnownClient> = broken.map(|(peer, _)| *peer).collect();
        match row.title.split(' ').next().unwrap() {
            "10" => broken.extend([KnownClient::Docker, KnownClient::Podman, KnownClient::Crane]),
            "11" => broken.extend([KnownClient::Docker]),
            _ => {}
        }
        assert_eq!(challenges.breaks(), broken, "{}: {challenges:#?}", row.title);
    }
}

#[test]
fn every_dialect_is_read_for_what_it_means() {
    let mut said = Vec::new();
    for row in record() {
        said.push(row.title);
        let challenges = parse(&row.lines);
        for challenge in &challenges {
            let parameters: Vec<String> = challenge
                .parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let line = format!("  {}: {}", challenge.scheme, parameters.join(" | "));
            said.push(line.trim_end().to_owned());
        }
        let oddities: Vec<String> = challenges.oddities().map(ToString::to_string).collect();
        if !oddities.is_empty() {
            said.push(format!("  odd: {}", oddities.join(", ")));
        }
    }
    assert_snapshot!(said.join("\n"), @r#"
    01 canonical
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull,push
    02 space after comma
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull,push
    03 lower scheme
      bearer: realm=https://auth.example.com/token | service=reg
    04 Param Case
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull
      odd: Realm not in lower case, Service not in lower case, Scope not in lower case
    05 empty service
      bearer: realm=https://auth.example.com/token | service= | scope=repository:a/b:pull
      odd: empty value of service
    06 empty scope then error
      bearer: realm=https://auth.example.com/token | service=reg | scope= | error=invalid_token
      odd: empty value of scope
    07 unquoted realm
      bearer: realm=https://auth.example.com/token | service=reg
      odd: unquoted realm
    08 unquoted service token
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull
    09 BWS around =
      bearer: realm=https://auth.example.com/token | service=reg
      odd: spaces around `=`
    10 two hdrs Basic then Bearer
      basic: realm=x
      bearer: realm=https://auth.example.com/token | service=reg
      odd: basic before bearer
    11 two hdrs Bearer then Basic
      bearer: realm=https://auth.example.com/token | service=reg
      basic: realm=x
      odd: basic beside bearer
    12 one hdr Basic, Bearer
      basic: realm=x
      bearer: realm=https://auth.example.com/token | service=reg
      odd: several challenges on one line
    13 one hdr Bearer, Basic
      bearer: realm=https://auth.example.com/token | service=reg
      basic: realm=x
      odd: several challenges on one line
    14 escaped quote in service
      bearer: realm=https://auth.example.com/token | service=my "reg" | scope=repository:a/b:pull
    15 backslash-slash escape
      bearer: realm=https://auth.example.com/token | service=reg
      odd: needless escape
    16 utf8 service
      bearer: realm=https://auth.example.com/token | service=Regístry | scope=repository:a/b:pull
      odd: characters beyond ASCII
    17 trailing comma
      bearer: realm=https://auth.example.com/token | service=reg
      odd: comma with nothing beside it
    18 no params
      bearer:
      odd: no realm
    19 leading space/tab
      bearer: realm=https://auth.example.com/token | service=reg
      odd: space before the scheme
    20 Negotiate then Bearer hdr
      negotiate:
      bearer: realm=https://auth.example.com/token | service=reg
      odd: negotiate before bearer
    21 multi scope one param
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull repository:c/d:pull
    22 dup scope params
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull | scope=repository:c/d:pull
      odd: scope twice
    23 single quotes
      bearer: realm=https://auth.example.com/token | service=reg
      odd: realm in single quotes, service in single quotes
    24 no commas (space sep)
      bearer: realm=https://auth.example.com/token | service=reg | scope=repository:a/b:pull
      odd: missing comma
    25 error_description w comma
      bearer: realm=https://auth.example.com/token | service=reg | error=invalid_token | error_description=bad, very: bad
    "#);
}

/// Beyond the record: other headers that servers and proxies send.
#[test]
fn other_headers_are_read_as_well() {
    let table = [
        "Bearer realm=\"r\",service=s,scope=repository:a/b:pull,push,error=invalid_token",
        "Negotiate YIIabc/+==, Bearer realm=\"r\"",
        "Negotiate, Bearer realm=\"r\"",
        "Digest realm=\"d\", nonce=\"n\", qop=\"auth,auth-int\"",
        "Bearer realm=\"r\" Basic realm=\"b\"",
        "realm=\"r\",service=\"s\"",
        "Bearer realm=\"r",
        "Bearer realm=\"r\\",
        "Bearer realm=,service=\"s\"",
        "Bearer ,, realm=\"r\" , , service=\"s\" ,",
        "Bearer realm=\"r\",,=x,@@,service=\"s\"",
        "Bearer realm=\"r\"service=\"s\"",
        "Bearer realm==",
        "Bearer\trealm\t=\t\"r\"",
        "Bearer realm=\"r\", and more",
        "",
        " , ",
    ];
    let mut said = Vec::new();
    for line in table {
        let challenges = parse([line]);
        said.push(line.to_owned());
        for challenge in &challenges {
            said.push(format!(
                "  {} {:?} odd: {:?}",
                challenge.scheme, challenge.parameters, challenge.oddities
            ));
        }
    }
    assert_snapshot!(said.join("\n"), @r#"
    Bearer realm="r",service=s,scope=repository:a/b:pull,push,error=invalid_token
      bearer [("realm", "r"), ("service", "s"), ("scope", "repository:a/b:pull,push"), ("error", "invalid_token")] odd: [UnquotedValue("scope")]
    Negotiate YIIabc/+==, Bearer realm="r"
      negotiate [] odd: []
      bearer [("realm", "r")] odd: []
    Negotiate, Bearer realm="r"
      negotiate [] odd: []
      bearer [("realm", "r")] odd: []
    Digest realm="d", nonce="n", qop="auth,auth-int"
      digest [("realm", "d"), ("nonce", "n"), ("qop", "auth,auth-int")] odd: []
    Bearer realm="r" Basic realm="b"
      bearer [("realm", "r")] odd: []
      basic [("realm", "b")] odd: [MissingComma]
    realm="r",service="s"
    Bearer realm="r
      bearer [("realm", "r")] odd: [UnterminatedQuote("realm")]
    Bearer realm="r\
      bearer [("realm", "r")] odd: [UnterminatedQuote("realm")]
    Bearer realm=,service="s"
      bearer [("realm", ""), ("service", "s")] odd: [EmptyValue { parameter: "realm", followed: true }, MissingRealm]
    Bearer ,, realm="r" , , service="s" ,
      bearer [("realm", "r"), ("service", "s")] odd: [StrayComma]
    Bearer realm="r",,=x,@@,service="s"
      bearer [("realm", "r"), ("service", "s")] odd: [StrayComma, StrayText]
    Bearer realm="r"service="s"
      bearer [("realm", "r"), ("service", "s")] odd: [MissingComma]
    Bearer realm==
      bearer [("realm", "=")] odd: [UnquotedValue("realm")]
    Bearer	realm	=	"r"
      bearer [("realm", "r")] odd: [SpacesAroundEquals]
    Bearer realm="r", and more
      bearer [("realm", "r")] odd: []
      and [] odd: []

     ,
    "#);
}

fn printable() -> impl Strategy<Value = String> {
    "[ -~]{1,30}"
}

proptest! {
    #[test]
    fn what_we_write_is_read_back_and_nothing_about_it_is_odd(realm in printable(), service in printable(), wrong: bool) {
        let pull = needed("repository:a/b:pull,push repository:c/d:pull");
        let challenge = Bearer::new(text(&realm), text(&service)).scope(&pull);
        let challenge = if wrong { challenge.error(BearerError::InvalidToken) } else { challenge };
        let line = Challenge::from(challenge).to_string();
        prop_assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)));
        let read = parse([&line]);
        let bearer = read.bearer().unwrap();
        prop_assert_eq!(bearer.realm(), Some(&*realm));
        prop_assert_eq!(bearer.service(), Some(&*service));
        prop_assert_eq!(bearer.scope(), Some("repository:a/b:pull,push repository:c/d:pull"));
        prop_assert_eq!(bearer.error(), wrong.then_some("invalid_token"));
        prop_assert_eq!(read.oddities().count(), 0);
    }

    #[test]
    fn any_bytes_are_read(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let _ = parse(&lines).breaks();
    }

    #[test]
    fn any_arrangement_of_the_pieces_is_read(pieces in prop::collection::vec(
        prop::sample::select(vec!["Bearer", "Basic", "realm", "scope", "=", "\"", "'", "\\", ",", " ", "x:y", "é"]), 0..24,
    )) {
        let line = pieces.concat();
        let read = parse([&line]);
        for challenge in &read {
            prop_assert!(!challenge.scheme.is_empty());
        }
    }
}
