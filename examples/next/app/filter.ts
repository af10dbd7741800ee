/** What the page shows: the server lists it, and the browser follows it. */
export const FILTER = { type: 'note.*' }
export const LIMIT = 20
