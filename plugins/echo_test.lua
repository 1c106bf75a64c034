-- Tests of echo.lua: weir test-plugin plugins/echo.lua. docs/lua-api.md has what `t` can do.
local t = require("weir.test")

t.test("a message comes back, as the kind that it was", function()
    local s = t.session{path = "/ws"}
    s:send("hello")
    s:expect("hello")
    s:send("\0\1\255", "binary")
    s:expect("\0\1\255", "binary")
    s:expect_nothing()
end)

t.test("messages of every length come back, in order", function()
    local s = t.session()
    local sizes = {0, 125, 126, 65535, 65536, 300000}
    for _, size in ipairs(sizes) do s:send(("x"):rep(size)) end
    for _, size in ipairs(sizes) do t.equal(#s:receive(), size) end
end)

t.test("who closes with 4000 hears 4000", function()
    local s = t.session()
    s:close(4000, "done")
    s:expect_closed(4000)
end)

t.test("a plain request is told to upgrade", function()
    t.equal(t.request{path = "/"}.status, 426)
end)
