export * from '@trpc/client'
