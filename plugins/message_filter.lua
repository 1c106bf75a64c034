-- Lets messages pass, or not, by kind, size and Lua patterns. docs/message-filter.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    kinds = {type = "strings", default = {"text", "binary"}},
    min_size = {type = "integer", default = 0, min = 0, max = 1 << 30, unit = "bytes"},
    max_size = {type = "integer", min = 0, max = 1 << 30, unit = "bytes"},
    allow = {type = "strings", default = {}},
    deny = {type = "strings", default = {}},
    direction = {one_of = {"in", "out", "both"}, default = "in"},
    action = {one_of = {"close", "drop"}, default = "close"},
    code = {type = "integer", min = 3000, max = 4999},
    reason = {type = "string"},
})

local allowed_kinds = {}

for i, kind in ipairs(config.kinds) do
    if kind ~= "text" and kind ~= "binary" then
        error(string.format("config.kinds[%d] must be text or binary, not %q", i - 1, kind), 0)
    end
    allowed_kinds[kind] = true
end

if config.max_size and config.max_size < config.min_size then
    error("config.max_size is less than config.min_size, so nothing would pass", 0)
end
if config.reason and (#config.reason > 123 or not utf8.len(config.reason)) then
    error("config.reason must be at most 123 bytes of UTF-8", 0)
end
if config.action == "drop" and (config.code or config.reason) then
    error("config.code and config.reason are for `action: close`", 0)
end

-- Where the set that begins at `at` ends, in the way of Lua's own matcher; nil where it does not.
local function end_of_set(pattern, at)
    at = at + (pattern:sub(at + 1, at + 1) == "^" and 2 or 1)
    repeat -- a "]" in the first place stands for itself
        local char = pattern:sub(at, at)
        at = at + (char == "%" and 2 or 1)
        if char == "" then return nil end
    until pattern:sub(at, at) == "]"
    return at
end

-- What is wrong with a pattern, or nil and how many repetitions it has. Lua itself finds a mistake only when matching
-- gets to it, which would be with some client's message.
local function look_at(pattern)
    local at, open, closed, repetitions = pattern:sub(1, 1) == "^" and 2 or 1, {}, 0, 0
    while at <= #pattern do
        local char, following = pattern:sub(at, at), pattern:sub(at + 1, at + 1)
        if char == "%" and following == "" then
            return "it ends with %"
        elseif char == "%" and following == "b" then
            if #pattern < at + 3 then return "%b needs two characters" end
            at = at + 4
        elseif char == "%" and following == "f" then
            if pattern:sub(at + 2, at + 2) ~= "[" then return "%f needs a [set]" end
            at = at + 2
        elseif char == "%" then
            if following:find("%d") and (following == "0" or tonumber(following) > closed) then
                return "%" .. following .. " is no capture that is closed before it"
            end
            at = at + 2
        elseif char == "[" then
            local last = end_of_set(pattern, at)
            if not last then return "a [ is not closed" end
            at = last + 1
        elseif char == "(" then
            open[#open + 1] = at
            at = at + 1
        elseif char == ")" then
            if #open == 0 then return "a ) closes nothing" end
            open[#open], closed = nil, closed + 1
            at = at + 1
        else
            if char:find("[*+-]") then repetitions = repetitions + 1 end
            at = at + 1
        end
    end
    if #open > 0 then return "a ( is not closed" end
    if closed > 32 then return "it has more than 32 captures" end
    return nil, repetitions
end

-- Where text can be taken in several ways, a match takes time that grows with a power of the message's size.
local function check_patterns(key)
    for i, pattern in ipairs(config[key]) do
        local wrong, repetitions = look_at(pattern)
        if wrong then
            error(string.format("config.%s[%d], %q, is no Lua pattern: %s", key, i - 1, pattern, wrong), 0)
        end
        local starts = pattern:sub(1, 1) == "^" and 0 or 1
        if repetitions + starts > 1 and repetitions > 0 and not config.max_size then
            error(string.format("config.%s[%d], %q, may take long with long messages: give config.max_size too", key, i - 1,
                                pattern), 0)
        end
    end
end

check_patterns("allow")
check_patterns("deny")

local function matches(data, patterns)
    for _, pattern in ipairs(patterns) do
        if data:find(pattern) then return true end
    end
    return false
end

-- The close code for a message that may not pass, and why; nil for one that may.
local function refusal(data, kind)
    if not allowed_kinds[kind] then return 1003, kind .. " messages are not accepted here" end
    if config.max_size and #data > config.max_size then return 1009, "the message is too large" end
    if #data < config.min_size then return 1008, "the message is too small" end
    if #config.allow > 0 and not matches(data, config.allow) then return 1008, "the message is not allowed" end
    if matches(data, config.deny) then return 1008, "the message is not allowed" end
end

local function pass(conn, data, kind)
    local code, why = refusal(data, kind)
    if code and config.action == "close" then conn:close(config.code or code, config.reason or why) end
    return code == nil
end

return {
    on_message = config.direction ~= "out" and pass or nil,
    on_send = config.direction ~= "in" and pass or nil,
}
