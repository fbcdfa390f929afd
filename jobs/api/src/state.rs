//! What a job keeps during one attempt.

use std::any::Any;

/// One value of each type that was asked for. Nobody has more than a few, so they are looked for one by one: with one, that is a comparison.
#[derive(Default)]
pub(crate) struct State(Vec<Box<dyn Any>>);

impl State {
    /// The value of type `T`, made if it is not there yet.
    #[inline]
    pub(crate) fn get<T: Any>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let found = self.0.iter().position(|value| value.is::<T>());
        let at = found.unwrap_or_else(|| {
            self.0.push(Box::new(make()));
            self.0.len() - 1
        });
        self.0[at]
            .downcast_mut()
            .expect("it was looked for by its type")
    }

    /// The value of type `T`, which is not there any more then.
    pub(crate) fn take<T: Any>(&mut self) -> Option<T> {
        let at = self.0.iter().position(|value| value.is::<T>())?;
        let value = self.0.swap_remove(at).downcast();
        value.ok().map(|value| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let mut state = State::default();
        assert_eq!(state.take::<u64>(), None);
        *state.get(|| 5_u64) += 1;
        state.get(String::new).push('a');
        assert_eq!(*state.get(|| 9_u64), 6);
        assert_eq!(state.take::<u64>(), Some(6));
        assert_eq!(state.take::<String>(), Some("a".to_owned()));
        assert_eq!(*state.get(|| 9_u64), 9);
    }
}
