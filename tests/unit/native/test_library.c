/* What is opened as a plugin and what is refused, in words; older, newer and replaced ones. */
#include "native_fixture.h"

#include "native/library.h"

/* A plugin whose on_open gives `answer`, whatever it is called with. */
static void build_answering(const char *name, int answer)
{
    char source[1024];
    snprintf(source, sizeof source,
             "static enum weir_verdict on_open(void *self, struct weir_session *s, unsigned seat)\n"
             "{ (void)self; (void)s; (void)seat; return (enum weir_verdict)%d; }\n" HEAD
             ".on_open = on_open};\n" ENTRY,
             answer);
    build(name, source);
}

static int answer_of(const struct native_library *library)
{
    return (int)library->ops.on_open(NULL, NULL, 0);
}

static void expect_refused(const char *file, const char *words)
{
    struct native_library library = {0};
    char why[WHY_BYTES] = "";
    assert_false(native_library_open(file, &library, why, sizeof why));
    assert_string_equal(why, words);
    assert_null(library.handle);
}

static void open_good(const char *file, struct native_library *library)
{
    char why[WHY_BYTES] = "";
    if (!native_library_open(file, library, why, sizeof why)) {
        fail_msg("%s", why);
    }
}

static void test_opens_a_plugin(void **state)
{
    (void)state;
    struct native_library library;
    build_answering("good", WEIR_CLOSE);
    open_good("./good.so", &library);
    assert_int_equal(answer_of(&library), WEIR_CLOSE);
    assert_int_equal(library.ops.struct_size, sizeof library.ops);
    assert_null(library.ops.load);
    native_library_close(&library);
    assert_null(library.handle);
}

static void test_refuses_what_is_no_shared_object(void **state)
{
    (void)state;
    write_file("text.so", "return {}\n");
    write_file("empty.so", "");
    write_file("cut.so", "\177ELF\002\001\001");
    expect_refused("./text.so", "./text.so is not a shared object");
    expect_refused("./empty.so", "./empty.so is not a shared object");
    expect_refused("./cut.so", "./cut.so cannot be loaded: file too short");
    expect_refused("./none.so", "cannot open ./none.so: No such file or directory");
    expect_refused("good.so", "good.so: the path has no slash, or is too long");
}

static void test_refuses_a_missing_symbol_before_anything_is_called(void **state)
{
    (void)state;
    build("needy", "void nobody_has_this(void);\n"
                   "static void unload(void *p) { (void)p; nobody_has_this(); }\n" HEAD
                   ".unload = unload};\n" ENTRY);
    expect_refused("./needy.so", "./needy.so cannot be loaded: undefined symbol: nobody_has_this");
}

static void test_refuses_an_object_without_the_entry(void **state)
{
    (void)state;
    build("other", "int something_else(void) { return 1; }");
    expect_refused("./other.so", "./other.so is not a plugin: it has no function weir_plugin");
}

static void test_refuses_a_plugin_that_gives_nothing(void **state)
{
    (void)state;
    build("nothing", "const struct weir_plugin_ops *weir_plugin(const struct weir_host *host)\n"
                     "{ (void)host; return NULL; }");
    expect_refused("./nothing.so", "./nothing.so gives no callbacks: it cannot work with version "
                                   "1.2 of the plugin interface");
}

static void test_refuses_another_major_version(void **state)
{
    (void)state;
    build("future", "static const struct weir_plugin_ops ops = {.struct_size = sizeof ops, "
                    ".major = WEIR_ABI_MAJOR + 1, .minor = 0};\n" ENTRY);
    expect_refused("./future.so", "./future.so was built for version 2.0 of the plugin interface, "
                                  "and this is 1.2: build it with this gateway's weir/plugin.h");
    build("past", "static const struct weir_plugin_ops ops = {.struct_size = sizeof ops, "
                  ".minor = 7};\n" ENTRY);
    expect_refused("./past.so", "./past.so was built for version 0.7 of the plugin interface, and "
                                "this is 1.2: build it with this gateway's weir/plugin.h");
}

static void test_refuses_a_table_without_its_size(void **state)
{
    (void)state;
    build("sizeless", "static const struct weir_plugin_ops ops = {.major = WEIR_ABI_MAJOR};" ENTRY);
    expect_refused("./sizeless.so", "./sizeless.so: struct_size of its callbacks is 0; it has to "
                                    "be sizeof(struct weir_plugin_ops)");
    build("short", "static const struct weir_plugin_ops ops = {.struct_size = offsetof(struct "
                   "weir_plugin_ops, load) - 1, .major = WEIR_ABI_MAJOR};" ENTRY);
    expect_refused("./short.so", "./short.so: struct_size of its callbacks is 15; it has to be "
                                 "sizeof(struct weir_plugin_ops)");
}

static void test_takes_nothing_beyond_an_older_table(void **state)
{
    (void)state;
    struct native_library library;
    /* What lies behind the older plugin's table is not a callback. */
    build("older", "static struct weir_plugin_ops ops = {.struct_size = offsetof(struct "
                   "weir_plugin_ops, on_piece), .major = WEIR_ABI_MAJOR, .minor = 0, .on_piece = "
                   "(void *)1, .unload = free};\n" ENTRY);
    open_good("./older.so", &library);
    assert_null(library.ops.on_piece);
    assert_non_null(library.ops.unload);
    native_library_close(&library);
    build("bare", "static struct weir_plugin_ops ops = {.struct_size = offsetof(struct "
                  "weir_plugin_ops, load), .major = WEIR_ABI_MAJOR, .load = (void *)1};\n" ENTRY);
    open_good("./bare.so", &library);
    assert_null(library.ops.load);
    native_library_close(&library);
}

static void test_leaves_out_what_a_newer_table_has_more(void **state)
{
    (void)state;
    struct native_library library;
    build("newer",
          "static struct { struct weir_plugin_ops known; void *more[4]; } ops = {\n"
          ".known = {.struct_size = sizeof ops, .major = WEIR_ABI_MAJOR, .minor = 99,\n"
          ".unload = free}, .more = {(void *)1, (void *)2, (void *)3, (void *)4}};\n" ENTRY);
    open_good("./newer.so", &library);
    assert_int_equal(library.ops.struct_size, sizeof library.ops);
    assert_int_equal(library.ops.minor, 99);
    assert_non_null(library.ops.unload);
    native_library_close(&library);
}

static void test_a_replaced_file_is_opened_beside_the_old_one(void **state)
{
    (void)state;
    struct native_library first;
    struct native_library second;
    build_answering("twice", WEIR_CLOSE);
    open_good("./twice.so", &first);
    build_answering("twice", WEIR_WAIT);
    open_good("./twice.so", &second);
    assert_int_equal(answer_of(&first), WEIR_CLOSE);
    assert_int_equal(answer_of(&second), WEIR_WAIT);
    native_library_close(&first);
    assert_int_equal(answer_of(&second), WEIR_WAIT);
    native_library_close(&second);
}

static void test_the_same_file_is_shared_until_its_last_user_has_gone(void **state)
{
    (void)state;
    struct native_library first;
    struct native_library second;
    build_answering("shared", WEIR_CLOSE);
    open_good("./shared.so", &first);
    open_good("./shared.so", &second);
    assert_ptr_equal(first.ops.on_open, second.ops.on_open);
    native_library_close(&first);
    assert_int_equal(answer_of(&second), WEIR_CLOSE);
    native_library_close(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_a_plugin),
        cmocka_unit_test(test_refuses_what_is_no_shared_object),
        cmocka_unit_test(test_refuses_a_missing_symbol_before_anything_is_called),
        cmocka_unit_test(test_refuses_an_object_without_the_entry),
        cmocka_unit_test(test_refuses_a_plugin_that_gives_nothing),
        cmocka_unit_test(test_refuses_another_major_version),
        cmocka_unit_test(test_refuses_a_table_without_its_size),
        cmocka_unit_test(test_takes_nothing_beyond_an_older_table),
        cmocka_unit_test(test_leaves_out_what_a_newer_table_has_more),
        cmocka_unit_test(test_a_replaced_file_is_opened_beside_the_old_one),
        cmocka_unit_test(test_the_same_file_is_shared_until_its_last_user_has_gone),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
