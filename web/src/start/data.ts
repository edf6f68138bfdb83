/** The part of the page that knows what was asked. */
export { QueryClient, QueryClientProvider } from '@tanstack/react-query'
