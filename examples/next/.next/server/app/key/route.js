var R=require("../../chunks/[turbopack]_runtime.js")("server/app/key/route.js")
R.c("server/chunks/[root-of-the-server]__03_as_nr_kh3i._.js")
R.c("server/chunks/[root-of-the-server]__1d63obhmlha_h._.js")
R.c("server/chunks/node_modules_@trpc_client_dist_index_mjs_1zmvsy7my_md4._.js")
R.c("server/chunks/_next-internal_server_app_key_route_actions_1wt6ddbr8gv5g.js")
R.m(96061)
module.exports=R.m(96061).exports
