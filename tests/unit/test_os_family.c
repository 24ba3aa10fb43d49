/* Which system an image is, by the /etc/os-release of real ones. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/deploy/cert_archive.h"

/* From memory of exactly its size. */
static enum os_family family_of(const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    enum os_family family = os_family_of((struct str){copy, n});
    free(copy);
    return family;
}

static const struct {
    const char *text;
    enum os_family family;
} real[] = {
    {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian "
     "GNU/Linux\"\nVERSION_ID=\"12\"\n"
     "VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n"
     "HOME_URL=\"https://www.debian.org/\"\nSUPPORT_URL=\"https://www.debian.org/support\"\n"
     "BUG_REPORT_URL=\"https://bugs.debian.org/\"\n",
     OS_DEBIAN},
    {"PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"12\"\n"
     "VERSION=\"Debian GNU/Linux 12 (bookworm)\"\n",
     OS_DEBIAN},
    {"PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n"
     "VERSION=\"24.04.1 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n"
     "HOME_URL=\"https://www.ubuntu.com/\"\nUBUNTU_CODENAME=noble\nLOGO=ubuntu-logo\n",
     OS_DEBIAN},
    {"NAME=\"Ubuntu\"\nVERSION=\"18.04.6 LTS (Bionic Beaver)\"\nID=ubuntu\nID_LIKE=debian\n"
     "PRETTY_NAME=\"Ubuntu 18.04.6 LTS\"\nVERSION_ID=\"18.04\"\n",
     OS_DEBIAN},
    {"NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n"
     "HOME_URL=\"https://alpinelinux.org/\"\n",
     OS_DEBIAN},
    {"PRETTY_NAME=\"Raspbian GNU/Linux 11 (bullseye)\"\nNAME=\"Raspbian GNU/Linux\"\n"
     "VERSION_ID=\"11\"\nID=raspbian\nID_LIKE=debian\n",
     OS_DEBIAN},
    {"NAME=\"Linux Mint\"\nVERSION=\"21.3 (Virginia)\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"
     "PRETTY_NAME=\"Linux Mint 21.3\"\nVERSION_ID=\"21.3\"\nUBUNTU_CODENAME=jammy\n",
     OS_DEBIAN},
    {"PRETTY_NAME=\"Kali GNU/Linux Rolling\"\nNAME=\"Kali GNU/Linux\"\nID=kali\n"
     "VERSION=\"2024.3\"\nID_LIKE=debian\nANSI_COLOR=\"1;31\"\n",
     OS_DEBIAN},
    {"NAME=\"Pop!_OS\"\nVERSION=\"22.04 LTS\"\nID=pop\nID_LIKE=\"ubuntu debian\"\n", OS_DEBIAN},
    {"NAME=\"Fedora Linux\"\nVERSION=\"40 (Container Image)\"\nID=fedora\nVERSION_ID=40\n"
     "VERSION_CODENAME=\"\"\nPLATFORM_ID=\"platform:f40\"\nPRETTY_NAME=\"Fedora Linux 40\"\n"
     "VARIANT_ID=container\n",
     OS_FEDORA},
    {"NAME=\"Rocky Linux\"\nVERSION=\"9.4 (Blue Onyx)\"\nID=\"rocky\"\n"
     "ID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPLATFORM_ID=\"platform:el9\"\n",
     OS_FEDORA},
    {"NAME=\"AlmaLinux\"\nVERSION=\"9.4 (Seafoam Ocelot)\"\nID=\"almalinux\"\n"
     "ID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
     OS_FEDORA},
    {"NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\n"
     "VERSION_ID=\"9.4\"\nPLATFORM_ID=\"platform:el9\"\n",
     OS_FEDORA},
    {"NAME=\"CentOS Stream\"\nVERSION=\"9\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\n"
     "VERSION_ID=\"9\"\n",
     OS_FEDORA},
    {"NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\n"
     "VERSION_ID=\"7\"\n\nCENTOS_MANTISBT_PROJECT=\"CentOS-7\"\n",
     OS_FEDORA},
    {"NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\n"
     "VERSION_ID=\"2023\"\n",
     OS_FEDORA},
    {"NAME=\"Amazon Linux\"\nVERSION=\"2\"\nID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\n"
     "VERSION_ID=\"2\"\n",
     OS_FEDORA},
    {"NAME=\"Oracle Linux Server\"\nVERSION=\"9.4\"\nID=\"ol\"\nID_LIKE=\"fedora\"\n", OS_FEDORA},
    {"NAME=\"openSUSE Leap\"\nVERSION=\"15.6\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
     OS_OTHER},
    {"NAME=\"openSUSE Tumbleweed\"\n# VERSION=\"20240922\"\nID=\"opensuse-tumbleweed\"\n"
     "ID_LIKE=\"opensuse suse\"\n",
     OS_OTHER},
    {"NAME=\"SLES\"\nVERSION=\"15-SP6\"\nID=\"sles\"\nID_LIKE=\"suse\"\n", OS_OTHER},
    {"NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n", OS_OTHER},
    {"NAME=\"Manjaro Linux\"\nID=manjaro\nID_LIKE=arch\n", OS_OTHER},
    {"NAME=Gentoo\nID=gentoo\nPRETTY_NAME=\"Gentoo Linux\"\n", OS_OTHER},
    {"ANSI_COLOR=\"1;34\"\nID=nixos\nNAME=NixOS\n", OS_OTHER},
    {"ID=wolfi\nNAME=\"Wolfi\"\nPRETTY_NAME=\"Wolfi\"\nVERSION_ID=\"20230201\"\n", OS_OTHER},
    {"NAME=\"VMware Photon OS\"\nVERSION=\"5.0\"\nID=photon\n", OS_OTHER},
    {"NAME=\"Microsoft Azure Linux\"\nID=azurelinux\n", OS_OTHER},
};

static void real_systems_are_known_or_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        enum os_family got = family_of(real[i].text, strlen(real[i].text));
        if (got != real[i].family) {
            fail_msg("%s is taken for %d", real[i].text, got);
        }
    }
}

static void ids_are_read_however_they_are_quoted(void **state)
{
    static const struct {
        const char *text;
        enum os_family family;
    } rows[] = {
        {"ID=debian", OS_DEBIAN},
        {"ID=\"debian\"", OS_DEBIAN},
        {"ID='debian'", OS_DEBIAN},
        {"ID=Debian", OS_DEBIAN},
        {"ID=debian\r\n", OS_DEBIAN},
        {"ID=\"debian\" \r\n", OS_DEBIAN},
        {"\n\n\nID=debian\n", OS_DEBIAN},
        {"ID=x\nID_LIKE='ubuntu  debian'\n", OS_DEBIAN},
        {"ID=x\nID_LIKE=\"  fedora\"", OS_FEDORA},
        {"ID_LIKE=fedora\nID=debian\n", OS_DEBIAN}, /* what it is goes before what it is like */
        {"ID=debian\nID_LIKE=fedora\n", OS_DEBIAN},
        {"ID=fedora\nID=debian\n", OS_DEBIAN}, /* as in a shell, the last one */
        {"ID=debian\nID=x\n", OS_OTHER},
        {"ID=\"debian", OS_OTHER},
        {"ID=\"debian'", OS_OTHER},
        {"ID=", OS_OTHER},
        {"ID=\"", OS_OTHER},
        {"ID=\"\"", OS_OTHER},
        {"ID", OS_OTHER},
        {"ID = debian", OS_OTHER},
        {" ID=debian", OS_OTHER},
        {"#ID=debian", OS_OTHER},
        {"id=debian", OS_OTHER},
        {"XID=debian", OS_OTHER},
        {"VERSION_ID=debian", OS_OTHER},
        {"VARIANT_ID=alpine\nNAME=debian\n", OS_OTHER},
        {"ID=debianx", OS_OTHER},
        {"ID=xdebian", OS_OTHER},
        {"ID=debian-like", OS_OTHER},
        {"ID_LIKE=\"not-debian almost-fedora\"", OS_OTHER},
        {"debian", OS_OTHER},
        {"", OS_OTHER},
        {"\n", OS_OTHER},
        {"cat: /etc/os-release: No such file or directory\n", OS_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum os_family got = family_of(rows[i].text, strlen(rows[i].text));
        if (got != rows[i].family) {
            fail_msg("%s is taken for %d", rows[i].text, got);
        }
    }
    assert_int_equal(family_of("ID=\0debian", 10), OS_OTHER);
    assert_int_equal(family_of("\0ID=debian\n", 11), OS_OTHER);
    assert_int_equal(family_of("ID=debian\0\n", 11), OS_OTHER);
    assert_int_equal(os_family_of((struct str){NULL, 0}), OS_OTHER);
}

/* What is cut off at its end is judged by what is there, and never read past. */
static void a_cut_text_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        size_t n = strlen(real[i].text);
        for (size_t cut = 0; cut < n; cut++) {
            enum os_family got = family_of(real[i].text, cut);
            assert_true(got == OS_OTHER || got == real[i].family);
        }
    }
}

static void each_family_has_its_folder_and_its_command(void **state)
{
    const char *const *debian = os_family_refresh(OS_DEBIAN);
    const char *const *fedora = os_family_refresh(OS_FEDORA);
    (void)state;
    assert_string_equal(os_family_folder(OS_DEBIAN), "/usr/local/share/ca-certificates");
    assert_string_equal(os_family_folder(OS_FEDORA), "/etc/pki/ca-trust/source/anchors");
    assert_null(os_family_folder(OS_OTHER));
    assert_string_equal(debian[0], "update-ca-certificates");
    assert_null(debian[1]);
    assert_string_equal(fedora[0], "update-ca-trust");
    assert_string_equal(fedora[1], "extract");
    assert_null(fedora[2]);
    assert_null(os_family_refresh(OS_OTHER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_systems_are_known_or_left_alone),
        cmocka_unit_test(ids_are_read_however_they_are_quoted),
        cmocka_unit_test(a_cut_text_is_read_as_far_as_it_goes),
        cmocka_unit_test(each_family_has_its_folder_and_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
