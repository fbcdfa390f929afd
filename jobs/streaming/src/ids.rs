//! Ids of tasks and attempts as Hadoop writes them. Their digits are those of the job: `1795422600000_0001` of `job_1795422600000_0001`.

/// `1795422600000_0001_m_000007`, what follows the kind of id.
pub fn task(digits: &str, is_map: bool, index: u32) -> String {
    let kind = if is_map { 'm' } else { 'r' };
    format!("{digits}_{kind}_{index:06}")
}

/// `attempt_1795422600000_0001_m_000007_0` of that task. Tries count from 1 here, and from 0 there.
pub fn attempt(task: &str, number: u32) -> String {
    format!("attempt_{task}_{}", number.saturating_sub(1))
}
