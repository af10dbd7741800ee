export const title = 'Columns'
export const member = 'A member of the data'
export const hint = 'Such as title or customer.name'
export const add = 'Add'
