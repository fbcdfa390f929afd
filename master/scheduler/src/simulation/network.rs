//! How messages travel.
//!
//! They take 1 to 20 ms. While faults last, heartbeats, reports and their answers are dropped (5 %) and
//! doubled late (5 %); orders arrive in sequence, late, twice, or not at all where a connection broke.

use mapfold_terms::WorkerId;

use super::world::{FAULTS_END, Happening, Message, Reply, World};

impl World {
    /// Sends a message to the master.
    pub(super) fn send(&mut self, process: usize, message: &Message) {
        let state = &self.processes[process];
        let (life, from) = (state.life, state.speaks_as());
        for at in self.arrivals(process) {
            let message = message.clone();
            self.push(
                at,
                Happening::ToMaster {
                    process,
                    life,
                    from,
                    message,
                },
            );
        }
    }

    pub(super) fn reply(&mut self, process: usize, life: u64, reply: Reply) {
        for at in self.arrivals(process) {
            let reply = reply.clone();
            self.push(
                at,
                Happening::ToWorker {
                    process,
                    life,
                    id: None,
                    reply,
                },
            );
        }
    }

    /// Sends an order: in sequence, however long it takes, unless the connection breaks.
    pub(super) fn order(&mut self, worker: WorkerId, reply: Reply) {
        let Some(process) = self
            .processes
            .iter()
            .position(|p| p.life_of.contains_key(&worker))
        else {
            return;
        };
        let life = self.processes[process].life_of[&worker];
        let faults = self.now < FAULTS_END;
        if faults && self.rng.chance(3) {
            return;
        }
        let slow = if faults && self.rng.chance(3) {
            400
        } else {
            20
        };
        let at = self.now.max(self.processes[process].cut_until) + self.rng.range(1, slow);
        let at = at.max(self.processes[process].orders_at);
        self.processes[process].orders_at = at;
        if faults && self.rng.chance(5) {
            let again = Happening::ToWorker {
                process,
                life,
                id: Some(worker),
                reply: reply.clone(),
            };
            let late = at + self.rng.range(1, 1_500);
            self.push(late, again);
        }
        self.push(
            at,
            Happening::ToWorker {
                process,
                life,
                id: Some(worker),
                reply,
            },
        );
    }

    /// When a message arrives: once, or not at all, or once more much later.
    pub(super) fn arrivals(&mut self, process: usize) -> Vec<u64> {
        let faults = self.now < FAULTS_END;
        let cut = self.now < self.processes[process].cut_until;
        if cut || faults && self.rng.chance(5) {
            return Vec::new();
        }
        let mut arrivals = vec![self.now + self.rng.range(1, 21)];
        if faults && self.rng.chance(5) {
            arrivals.push(self.now + self.rng.range(20, 1_500));
        }
        arrivals
    }
}
