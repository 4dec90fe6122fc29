//! Tokens that several requests get.

use super::*;

async fn token(fixture: &Fixture, scope: &str) -> String {
    let answer = get(fixture, &format!("scope=repository:{scope}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_ask_for_the_same_in_one_second_get_one_token() {
    let fixture = Fixture::new().await;
    let first = token(&fixture, "public/a:pull").await;
    assert_eq!(token(&fixture, "public/a:pull").await, first);
    // What they get is the same, also where one asks for more.
    assert_eq!(token(&fixture, "public/a:pull,push").await, first);
    for other in ["public/b:pull", "ann/a:pull"] {
        assert_ne!(token(&fixture, other).await, first, "{other}");
    }
    let other_service = get(&fixture, "service=other&scope=repository:public/a:pull").await;
    assert_ne!(other_service.json()["token"], first);

    fixture.clock.advance(1);
    let next = token(&fixture, "public/a:pull").await;
    let [first, next] = [&first, &next].map(|token| fixture.verify(token, "registry"));
    assert_ne!(first.id, next.id);
    assert!(next.expires > first.expires);
}

#[tokio::test]
async fn an_account_that_asks_twice_in_one_second_gets_one_token_and_nobody_else_does() {
    let fixture = Fixture::new().await;
    let query = "scope=repository:public/a:pull";
    let of_nobody = token(&fixture, "public/a:pull").await;
    let of_ann = get_as(&fixture, "ann:secret", query).await.token();
    let of_bob = get_as(&fixture, "bob:secret", query).await.token();
    assert_eq!(get_as(&fixture, "ann:secret", query).await.token(), of_ann);
    assert!(of_nobody != of_ann && of_nobody != of_bob && of_ann != of_bob);
    let wrong = get_as(&fixture, "ann:wrong", query).await;
    assert_eq!(wrong.status, 401, "{}", wrong.body);

    fixture.clock.advance(1);
    assert_ne!(get_as(&fixture, "ann:secret", query).await.token(), of_ann);
}
