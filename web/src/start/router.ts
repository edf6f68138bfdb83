/** The part of the page that knows where one is. */
export { createRouter, Link, RouterProvider } from '@tanstack/react-router'
