//! What holds of every lookup's response builder (spec section 11).

use netipc::codec::{BuildError, Overflow, ResponseBudget};

use super::{Lookup, Message};

/// Builds the response at every budget from nothing to more than enough, and compares it with what
/// the contract's rule says, which [`expected`] computes from lengths alone.
pub(crate) fn a_response_keeps_its_budget<R: Lookup>(mut response: R) {
    for item in response.items() {
        *item = R::answered(item.clone());
    }
    let request = response.request().to_bytes();
    let full = response.encoded_len();
    for budget in 0..=full + 1 {
        for at_ceiling in [false, true] {
            let mut out = vec![0xAA; budget];
            let answered = response.answer(&request, ResponseBudget { out: &mut out, at_ceiling });
            match expected(&response, budget, at_ceiling) {
                Some(expected) => {
                    let len =
                        answered.unwrap_or_else(|error| panic!("{budget} of {full}: {error}"));
                    assert_eq!(
                        R::decode(&out[..len]).as_ref(),
                        Ok(&expected),
                        "{budget} of {full}"
                    );
                    assert_eq!(len, expected.encoded_len(), "nothing is written behind it");
                }
                None => assert_eq!(answered, Err(BuildError::LimitExceeded), "{budget} of {full}"),
            }
        }
    }
}

/// The response that a budget leaves: an item fits if, after it, the smallest items of all the rest
/// still do. `None` is LIMIT_EXCEEDED.
fn expected<R: Lookup>(response: &R, budget: usize, at_ceiling: bool) -> Option<R> {
    let answers = response.clone().items().clone();
    let mut expected = response.clone();
    for item in expected.items() {
        *item = R::overflowed(item.clone(), Overflow::Retry);
    }
    if expected.encoded_len() > budget {
        return None;
    }
    for (index, answer) in answers.iter().enumerate() {
        let smallest = std::mem::replace(&mut expected.items()[index], answer.clone());
        if expected.encoded_len() <= budget {
            continue;
        }
        if index > 0 {
            expected.items()[index] = smallest;
            break;
        }
        if answers.len() == 1 && !at_ceiling {
            return None;
        }
        expected.items()[index] = R::overflowed(smallest, Overflow::Oversized);
    }
    Some(expected)
}

/// Too few items, too many, and items in another order are errors, not answers.
pub(crate) fn handlers_mistakes_are_refused<R: Lookup>(mut response: R) {
    for item in response.items() {
        *item = R::answered(item.clone());
    }
    let request = response.request().to_bytes();
    let mut out = vec![0; response.encoded_len() * 2];
    let mut answer = |response: &R| {
        response.answer(&request, ResponseBudget { out: &mut out, at_ceiling: true })
    };
    if let Some(last) = response.clone().items().pop() {
        let mut longer = response.clone();
        longer.items().push(last);
        assert_eq!(answer(&longer), Err(BuildError::TooManyItems));
        let mut shorter = response.clone();
        shorter.items().pop();
        assert_eq!(answer(&shorter), Err(BuildError::TooFewItems { missing: 1 }));
    }
    let mut reversed = response.clone();
    reversed.items().reverse();
    if reversed.request() != response.request() {
        assert_eq!(answer(&reversed), Err(BuildError::Echo));
    }
}
