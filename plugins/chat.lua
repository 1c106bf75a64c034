-- A chat in rooms: who connects to /rooms/ws?room=garden&name=Ada is in that room until the connection ends.
-- docs/chat.md has the messages; www/rooms/ is a page for it.
--
-- Who is in which room is in the shared dictionary `rooms`, one key for each person, so that it is the same on all
-- workers; the value is the id of the session. Everything else goes by topics.
local settings = weir.config
local MAX_TEXT = settings.max_text or 2000 -- characters of one message
local MAX_PEOPLE = settings.max_people or 500 -- in one room
local MAX_NAME = 40 -- characters of a name, and of a room's

local people = weir.shared.rooms
if not people then
    error("chat: it keeps who is in which room in a shared dictionary; configure `shared: {rooms: {size: 10MiB}}`", 0)
end

local chat = {}

local function topic(room)
    return "chat:" .. room
end

local function key(room, name)
    return room .. "\n" .. name
end

local function publish(room, message)
    weir.publish(topic(room), weir.json.encode(message))
end

local function tell(conn, message)
    return conn:send(weir.json.encode(message))
end

-- `text` without control characters and needless spaces; nil where it is no UTF-8, nothing is left, or it is too long.
local function clean(text, most)
    if type(text) ~= "string" or #text > most * 4 then return nil end
    text = text:gsub("%c", " "):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    local length = utf8.len(text)
    if not length or length == 0 or length > most then return nil end
    return text
end

-- Everybody in the room, as { id =, name = }, by name.
local function list(room)
    local found = {}
    local prefix = room .. "\n"
    for _, entry in ipairs(people:keys(0)) do
        if entry:sub(1, #prefix) == prefix then
            local id = people:get(entry)
            if id then found[#found + 1] = { id = id, name = entry:sub(#prefix + 1) } end
        end
    end
    table.sort(found, function(a, b) return a.name < b.name end)
    return found
end

-- Takes the name, or the first of "Ada 2", "Ada 3" and so on that is free in the room.
local function take_name(room, wanted, id)
    local name = wanted
    local number = 1
    while true do
        local ok, why = people:add(key(room, name), id)
        if ok then return name end
        if why ~= "exists" then return nil end
        number = number + 1
        name = wanted .. " " .. number
    end
end

function chat.on_request(req)
    if not req.is_websocket then return end
    local query = req.query
    if not clean(query.room or "lobby", MAX_NAME) or not clean(query.name or "guest", MAX_NAME) then
        return req:reply(400, { ["content-type"] = "text/plain" },
            "room and name must have 1 to " .. MAX_NAME .. " characters\n")
    end
end

function chat.on_open(conn)
    local me = conn.data
    local query = conn.request.query
    local room = clean(query.room or "lobby", MAX_NAME)
    me.typing = false
    me.id = tostring(conn.id) -- text: it is a larger number than JSON can be trusted with
    if #list(room) >= MAX_PEOPLE then return conn:close(4003, "the room is full") end
    me.name = take_name(room, clean(query.name or "guest", MAX_NAME), me.id)
    if not me.name then return conn:close(1013, "no room for another name") end
    me.room = room
    -- Subscribing before listing: who comes or goes in between is in the list, or heard of, or both.
    conn:subscribe(topic(room))
    conn:publish(topic(room), weir.json.encode({ type = "joined", id = me.id, name = me.name }))
    tell(conn, { type = "welcome", id = me.id, name = me.name, room = room, people = list(room) })
end

local handle = {}

function handle.say(conn, message)
    local me = conn.data
    local text = clean(message.text, MAX_TEXT)
    if not text then
        tell(conn, { type = "error", why = "a message has 1 to " .. MAX_TEXT .. " characters" })
        return
    end
    me.typing = false -- who hears the message knows that the typing is over
    publish(me.room, {
        type = "said", id = me.id, name = me.name, text = text, at = math.floor(weir.now() * 1000),
    })
end

function handle.typing(conn, message)
    local me = conn.data
    local on = message.on == true
    if me.typing ~= on then
        me.typing = on
        conn:publish(topic(me.room), weir.json.encode({ type = "typing", id = me.id, name = me.name, on = on }))
    end
end

function handle.who(conn)
    tell(conn, { type = "who", people = list(conn.data.room) })
end

function chat.on_message(conn, data, kind)
    if not conn.data.room then return end -- it is being closed
    local message = kind == "text" and weir.json.decode(data)
    local act = type(message) == "table" and handle[message.type]
    if act then
        act(conn, message)
    else
        tell(conn, { type = "error", why = "say, typing or who, as JSON" })
    end
end

function chat.on_close(conn)
    local me = conn.data
    if me.room then
        people:delete(key(me.room, me.name))
        conn:publish(topic(me.room), weir.json.encode({ type = "left", id = me.id, name = me.name }))
    end
end

return chat
