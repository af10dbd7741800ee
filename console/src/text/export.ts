export enum words {
  title = 'Export',
  hint = 'For an export that anyone can verify, use synap export.',
}

export const page = (count: string, format: string) => `The ${count} rows shown, as ${format === 'csv' ? 'CSV' : 'NDJSON'}`
export const all = (count: string, format: string) => `All ${count} matches, as ${format === 'csv' ? 'CSV' : 'NDJSON'}`
export const running = (count: string) => `${count} events written…`
