/** The list that a person came from: the next and the previous event are its, and back leads to it. */
let last: { address: string; ids: string[] } = { address: '', ids: [] }

export function remember(address: string, ids: string[]): void {
  last = { address, ids }
}

export function lastList(): { address: string; ids: string[] } {
  return last
}
