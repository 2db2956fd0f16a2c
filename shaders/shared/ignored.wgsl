// A target that has no loss, as in `data::IGNORED`.
const IGNORED = 0xffffffffu;
