export const title = 'Views'
export const none = 'This browser remembers no views yet.'
export const name = 'Name of this view'
export const save = 'Save'
export const remove = (name: string) => `Forget the view ${name}`
