//! Token requests that are limited, right or wrong.

use std::time::Duration;

use portpass_password::limits::{Quota, RateSettings};

use super::*;

async fn with_rates(account: Option<u32>, address: Option<u32>) -> Fixture {
    let quota = |burst| Quota { burst, refill: Duration::from_secs(30) };
    let rates = RateSettings { account: account.map(quota), address: address.map(quota) };
    Fixture::with(Settings { rates, ..Settings::default() }).await
}

async fn from(fixture: &Fixture, last: u8, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(ClientAddress([192, 0, 2, last].into()));
    send(fixture, request).await
}

fn login(who: &str) -> Request<Body> {
    with_basic(request("GET", "scope=repository:ann/a:pull"), who)
}

#[tokio::test]
async fn an_account_that_asks_too_often_is_told_when_to_come_back() {
    let fixture = with_rates(Some(2), None).await;
    for last in [1, 2] {
        assert_eq!(from(&fixture, last, login("ann:secret")).await.status, 200);
    }
    let refused = from(&fixture, 3, login("ann:secret")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "30"));
    assert_eq!(refused.json()["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(
        refused.json()["errors"][0]["message"],
        "too many token requests for this account; try again in 30 s"
    );
    // Others go on, and who guesses does not learn that the account is in use.
    assert_eq!(from(&fixture, 3, login("bob:secret")).await.status, 200);
    assert_eq!(from(&fixture, 3, login("ann:guess")).await.status, 401);
    fixture.clock.advance(30);
    assert_eq!(from(&fixture, 3, login("ann:secret")).await.status, 200);
}

#[tokio::test]
async fn who_guesses_uses_up_nobodys_requests() {
    let fixture = with_rates(Some(1), None).await;
    for _ in 0..5 {
        assert_eq!(from(&fixture, 1, login("ann:guess")).await.status, 401);
    }
    assert_eq!(from(&fixture, 2, login("ann:secret")).await.status, 200);
}

#[tokio::test]
async fn an_address_counts_without_credentials_too() {
    let fixture = with_rates(None, Some(2)).await;
    let anonymous = || request("GET", "scope=repository:public/a:pull");
    assert_eq!(from(&fixture, 1, anonymous()).await.status, 200);
    assert_eq!(from(&fixture, 1, login("ann:secret")).await.status, 200);
    assert_eq!(from(&fixture, 1, anonymous()).await.status, 429);
    assert_eq!(from(&fixture, 2, anonymous()).await.status, 200);
}

/// TP7: one wrong password is a POST and a GET.
#[tokio::test]
async fn what_containerd_asks_by_post_and_then_by_get_counts_once() {
    let fixture = with_rates(None, Some(2)).await;
    let form = "grant_type=password&username=ann&password=guess&service=registry&client_id=x\
                &scope=repository:ann/a:pull";
    let by_get = || {
        let query = "service=registry&scope=repository:ann/a:pull";
        with_basic(request("GET", query), "ann:guess")
    };
    for _ in 0..2 {
        assert_eq!(from(&fixture, 1, with_form(request("POST", ""), form)).await.status, 401);
        assert_eq!(from(&fixture, 1, by_get()).await.status, 401);
    }
    assert_eq!(from(&fixture, 1, with_form(request("POST", ""), form)).await.status, 429);
    // A refusal for this reason is no first half.
    assert_eq!(from(&fixture, 1, by_get()).await.status, 429);
}
