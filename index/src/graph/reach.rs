//! Whether every row can be reached, and what is done where one cannot.
//!
//! A row that lost all links to it is linked from its nearest reachable neighbour that has a link to spare. What is
//! left becomes a hub: the walk begins there.

use super::LINK_NONE;

/// The rows that no path from the hubs leads to, ascending.
pub(super) fn unreachable(links: &[u32], degree: usize, rows: u32, hubs: &[u32]) -> Vec<u32> {
    let mut seen = vec![false; rows as usize];
    let mut waiting: Vec<u32> = Vec::new();
    for hub in hubs {
        if !std::mem::replace(&mut seen[*hub as usize], true) {
            waiting.push(*hub);
        }
    }
    while let Some(row) = waiting.pop() {
        for link in &links[row as usize * degree..][..degree] {
            if *link < rows && !std::mem::replace(&mut seen[*link as usize], true) {
                waiting.push(*link);
            }
        }
    }
    (0..rows).filter(|row| !seen[*row as usize]).collect()
}

/// Leads links to rows that cannot be reached from rows that can; returns the rows that still cannot.
///
/// A row's own links are its nearest: one of them should know it. It takes a free link of one, or else the last link
/// of one whose target others know too.
pub(super) fn repair(links: &mut [u32], degree: usize, rows: u32, hubs: &[u32]) -> Vec<u32> {
    let mut lost = unreachable(links, degree, rows, hubs);
    for _ in 0..ROUNDS_MAX {
        if lost.is_empty() {
            break;
        }
        let mut is_lost = vec![false; rows as usize];
        lost.iter().for_each(|row| is_lost[*row as usize] = true);
        let mut known_by = vec![0_u32; rows as usize];
        links.iter().filter(|link| **link < rows).for_each(|link| known_by[*link as usize] += 1);
        for row in &lost {
            let own: Vec<u32> = links[*row as usize * degree..][..degree].to_vec();
            let near = own.into_iter().filter(|near| *near < rows && !is_lost[*near as usize]);
            for near in near {
                if lead(&mut links[near as usize * degree..][..degree], *row, &mut known_by) {
                    break;
                }
            }
        }
        lost = unreachable(links, degree, rows, hubs);
    }
    lost
}

/// Every round reaches some; those that are left after so many are few.
const ROUNDS_MAX: usize = 8;

/// Leads one of the links to a row, if one can be spared; whether one could.
fn lead(links: &mut [u32], row: u32, known_by: &mut [u32]) -> bool {
    let free = links.iter().position(|link| *link == LINK_NONE);
    let spare =
        || links.iter().rposition(|link| known_by.get(*link as usize).is_some_and(|count| *count > 1));
    let Some(at) = free.or_else(spare) else { return false };
    if let Some(count) = known_by.get_mut(links[at] as usize) {
        *count -= 1;
    }
    links[at] = row;
    known_by[row as usize] += 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_found_and_linked_where_there_is_room() {
        let none = LINK_NONE;
        // 0 -> 1 -> 0, 2 -> 1, 3 -> 2: nothing leads to 2 and 3.
        let mut links = vec![1, none, 0, none, 1, none, 2, none];
        assert_eq!(unreachable(&links, 2, 4, &[0]), [2, 3]);
        assert!(repair(&mut links, 2, 4, &[0]).is_empty());
        assert_eq!(links, [1, none, 0, 2, 1, 3, 2, none]);
        let mut full = vec![1, 0, 0];
        assert_eq!(repair(&mut full, 1, 3, &[0]), [2]);
    }
}
