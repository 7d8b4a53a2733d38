//! Whether every row can be reached, and what is done where one cannot.
//!
//! A row that lost all links to it is linked from its nearest reachable neighbour that has a link to spare. What is left
//! becomes a hub: the walk begins there.

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

/// Adds links to rows that cannot be reached from rows that can, where there is room; returns the rows that still cannot.
pub(super) fn repair(links: &mut [u32], degree: usize, rows: u32, hubs: &[u32]) -> Vec<u32> {
    let mut lost = unreachable(links, degree, rows, hubs);
    loop {
        let before = lost.len();
        let mut is_lost = vec![false; rows as usize];
        lost.iter().for_each(|row| is_lost[*row as usize] = true);
        for row in &lost {
            // A row's own links are its nearest: they are the ones that should know it.
            let own: Vec<u32> = links[*row as usize * degree..][..degree].to_vec();
            let known = own.into_iter().take_while(|link| *link != LINK_NONE);
            for near in known.filter(|near| !is_lost[*near as usize]) {
                let free =
                    links[near as usize * degree..][..degree].iter_mut().find(|link| **link == LINK_NONE);
                if let Some(free) = free {
                    *free = *row;
                    break;
                }
            }
        }
        lost = unreachable(links, degree, rows, hubs);
        if lost.is_empty() || lost.len() == before {
            return lost;
        }
    }
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
