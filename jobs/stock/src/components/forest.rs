//! Which names hang together: a tree for each component, by union and halved paths (Tarjan and van Leeuwen, 1984).

use std::collections::HashMap;

/// Trees of names.
#[derive(Default)]
pub(super) struct Forest {
    places: HashMap<Vec<u8>, usize>,
    /// Of each name, by place: the root of a tree is its own parent.
    parents: Vec<usize>,
    /// As many names are in the tree of a root.
    sizes: Vec<usize>,
}

impl Forest {
    /// Two names hang together.
    pub(super) fn join(&mut self, one: &[u8], other: &[u8]) {
        let [one, other] = [one, other].map(|name| {
            let place = self.place(name);
            self.root(place)
        });
        if one == other {
            return;
        }
        let (less, more) = if self.sizes[one] < self.sizes[other] {
            (one, other)
        } else {
            (other, one)
        };
        self.parents[less] = more;
        self.sizes[more] += self.sizes[less];
    }

    fn place(&mut self, name: &[u8]) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.parents.len();
        self.places.insert(name.to_vec(), place);
        self.parents.push(place);
        self.sizes.push(1);
        place
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    /// Each name after the first of those that it hangs together with; in no order.
    pub(super) fn into_members(mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let names: Vec<(Vec<u8>, usize)> = std::mem::take(&mut self.places).into_iter().collect();
        let mut firsts: HashMap<usize, Vec<u8>> = HashMap::new();
        for (name, place) in &names {
            let first = firsts
                .entry(self.root(*place))
                .or_insert_with(|| name.clone());
            if name < first {
                first.clone_from(name);
            }
        }
        let member = |(name, place): (Vec<u8>, usize)| (firsts[&self.root(place)].clone(), name);
        names.into_iter().map(member).collect()
    }
}
