//! The language: its words, and which may follow which.
//!
//! A subject in the singular takes a verb in the singular, however many adjectives stand between. Objects have the words of
//! subjects and other states, since what follows them is another.

/// A class of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    The,
    One,
    Many,
    Name,
    Adjective,
    Noun,
    Nouns,
    Sees,
    See,
    Sleeps,
    Sleep,
    Adverb,
    Preposition,
    Place,
    And,
}

/// The words of each class, in the order of the classes, with their weights.
pub(super) const WORDS: [&[(&str, u32)]; 15] = [
    &[("the", 1)],
    &[("a", 6), ("this", 2), ("every", 1), ("one", 1)],
    &[("some", 3), ("many", 3), ("these", 2), ("two", 1), ("few", 1)],
    &[("anna", 4), ("peter", 3), ("maria", 2), ("tom", 2), ("zoe", 1)],
    &[("old", 8), ("small", 6), ("quiet", 4), ("red", 4), ("happy", 3), ("lazy", 2), ("cold", 2), ("brave", 1)],
    &[
        ("dog", 8),
        ("cat", 8),
        ("bird", 5),
        ("girl", 4),
        ("boy", 4),
        ("king", 3),
        ("queen", 2),
        ("fox", 2),
        ("wolf", 1),
        ("judge", 1),
    ],
    &[("dogs", 6), ("cats", 6), ("birds", 6), ("girls", 3), ("boys", 3), ("kings", 1), ("foxes", 2), ("wolves", 1)],
    &[("sees", 6), ("likes", 5), ("finds", 3), ("hears", 3), ("follows", 2), ("remembers", 1)],
    &[("see", 6), ("like", 5), ("find", 3), ("hear", 3), ("follow", 2), ("remember", 1)],
    &[("sleeps", 4), ("runs", 4), ("waits", 3), ("sings", 2), ("jumps", 1)],
    &[("sleep", 4), ("run", 4), ("wait", 3), ("sing", 2), ("jump", 1)],
    &[("often", 5), ("never", 3), ("quickly", 2), ("slowly", 2), ("today", 2)],
    &[("in", 6), ("near", 4), ("behind", 2), ("under", 1)],
    &[("house", 6), ("garden", 5), ("forest", 4), ("river", 3), ("village", 2), ("mountain", 1)],
    &[("and", 6), ("but", 3), ("while", 2), ("because", 1)],
];

/// Where the chain is: what the next word may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Start,
    Clause,
    SubjectThe,
    SubjectOne,
    SubjectMany,
    VerbOne,
    VerbMany,
    Object,
    ObjectThe,
    ObjectOne,
    ObjectMany,
    After,
    Where,
    Place,
}

/// A step of the chain: how likely it is among those from its state, what it writes, and where it leads to.
pub(super) struct Step {
    pub(super) weight: u32,
    /// The class of the word; `None` at the end of the sentence.
    pub(super) class: Option<Class>,
    pub(super) to: State,
}

const fn word(weight: u32, class: Class, to: State) -> Step {
    Step { weight, class: Some(class), to }
}

/// The steps from each state, in the order of the states.
pub(super) const STATES: [&[Step]; 14] = [
    // Start: the first clause of a sentence.
    &[
        word(5, Class::The, State::SubjectThe),
        word(3, Class::One, State::SubjectOne),
        word(2, Class::Many, State::SubjectMany),
        word(2, Class::Name, State::VerbOne),
    ],
    // Clause: one behind another.
    &[
        word(4, Class::The, State::SubjectThe),
        word(2, Class::One, State::SubjectOne),
        word(2, Class::Many, State::SubjectMany),
        word(4, Class::Name, State::VerbOne),
    ],
    // SubjectThe
    &[
        word(2, Class::Adjective, State::SubjectThe),
        word(4, Class::Noun, State::VerbOne),
        word(2, Class::Nouns, State::VerbMany),
    ],
    // SubjectOne
    &[word(1, Class::Adjective, State::SubjectOne), word(3, Class::Noun, State::VerbOne)],
    // SubjectMany
    &[word(1, Class::Adjective, State::SubjectMany), word(3, Class::Nouns, State::VerbMany)],
    // VerbOne
    &[
        word(1, Class::Adverb, State::VerbOne),
        word(6, Class::Sees, State::Object),
        word(3, Class::Sleeps, State::After),
    ],
    // VerbMany
    &[word(1, Class::Adverb, State::VerbMany), word(6, Class::See, State::Object), word(3, Class::Sleep, State::After)],
    // Object
    &[
        word(4, Class::The, State::ObjectThe),
        word(3, Class::One, State::ObjectOne),
        word(2, Class::Many, State::ObjectMany),
        word(1, Class::Name, State::After),
    ],
    // ObjectThe
    &[
        word(1, Class::Adjective, State::ObjectThe),
        word(3, Class::Noun, State::After),
        word(2, Class::Nouns, State::After),
    ],
    // ObjectOne
    &[word(1, Class::Adjective, State::ObjectOne), word(3, Class::Noun, State::After)],
    // ObjectMany
    &[word(1, Class::Adjective, State::ObjectMany), word(3, Class::Nouns, State::After)],
    // After: a whole clause.
    &[
        Step { weight: 6, class: None, to: State::Start },
        word(3, Class::Preposition, State::Where),
        word(2, Class::And, State::Clause),
    ],
    // Where
    &[word(3, Class::The, State::Place), word(1, Class::One, State::Place)],
    // Place
    &[word(1, Class::Adjective, State::Place), word(4, Class::Place, State::After)],
];
