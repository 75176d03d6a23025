//! How many requests may be under way at one API server, learnt from its answers: one more after each window of good
//! answers, half as many when it says that it is too much (additive increase, multiplicative decrease, as in TCP).

/// What an answer says about the load of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It was answered in time, whatever the answer.
    Fine,
    /// The server asks to be left alone (429, 503 with `Retry-After`), or did not answer in time.
    TooMuch,
    /// Nothing can be told: the connection was refused or lost.
    Unknown,
}

/// The cut that a request was admitted after. Many requests of one burst are refused together: they cut once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// The number of requests that may be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    size: u32,
    cuts: u64,
    fine: u32,
}

/// Fewest requests under way.
pub const WINDOW_FLOOR: u32 = 1;
/// What a server that nothing is known of is thought to bear.
pub const WINDOW_START: u32 = 32;
/// Most requests under way.
pub const WINDOW_CAP: u32 = 128;

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW_START, cuts: 0, fine: 0 }
    }
}

impl Window {
    /// How many requests may be under way now.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// For a request that begins now.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.cuts)
    }

    /// Takes in the answer to a request. True when the window was cut.
    pub fn note(&mut self, ticket: Ticket, load: Load) -> bool {
        // What was sent before the last cut says nothing about the window as it is now.
        if ticket.0 != self.cuts {
            return false;
        }
        match load {
            Load::Fine => {
                self.fine = self.fine.saturating_add(1);
                if self.fine >= self.size {
                    self.fine = 0;
                    self.size = self.size.saturating_add(1).min(WINDOW_CAP);
                }
                false
            }
            Load::TooMuch => {
                self.size = (self.size / 2).max(WINDOW_FLOOR);
                self.cuts = self.cuts.saturating_add(1);
                self.fine = 0;
                true
            }
            Load::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_that_is_refused_halves_the_window_once() {
        let mut window = Window::default();
        let burst = [window.ticket(); 5];
        let cuts = burst.into_iter().filter(|ticket| window.note(*ticket, Load::TooMuch)).count();
        assert_eq!((cuts, window.size()), (1, WINDOW_START / 2));
        assert!(window.note(window.ticket(), Load::TooMuch), "what is sent after the cut counts anew");
        assert_eq!(window.size(), WINDOW_START / 4);
    }

    #[test]
    fn a_window_of_good_answers_makes_room_for_one_more_up_to_the_cap() {
        let mut window = Window::default();
        for _ in 1..WINDOW_START {
            window.note(window.ticket(), Load::Fine);
        }
        assert_eq!(window.size(), WINDOW_START);
        window.note(window.ticket(), Load::Fine);
        assert_eq!(window.size(), WINDOW_START + 1);
        for _ in 0..100_000 {
            window.note(window.ticket(), Load::Fine);
        }
        assert_eq!(window.size(), WINDOW_CAP);
    }

    #[test]
    fn it_never_falls_below_one_and_comes_back_from_there() {
        let mut window = Window::default();
        for _ in 0..20 {
            window.note(window.ticket(), Load::TooMuch);
        }
        assert_eq!(window.size(), WINDOW_FLOOR);
        window.note(window.ticket(), Load::Fine);
        assert_eq!(window.size(), 2);
    }

    #[test]
    fn lost_connections_and_answers_from_before_a_cut_change_nothing() {
        let mut window = Window::default();
        let old = window.ticket();
        window.note(window.ticket(), Load::TooMuch);
        let cut = window.clone();
        for _ in 0..1_000 {
            window.note(old, Load::Fine);
            window.note(window.ticket(), Load::Unknown);
        }
        assert_eq!(window, cut);
    }
}
