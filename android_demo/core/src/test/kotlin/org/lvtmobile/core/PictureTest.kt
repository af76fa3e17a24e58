package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

class PictureTest {
    @Test
    fun `the golden picture has the values of the formula`() {
        val picture = Picture.golden()
        val start = 3 * (2 * 131 + 5)
        assertEquals(listOf(71, 100, 129), (0 until 3).map { picture.rgb[start + it].toInt() and 0xff })
    }

    /** The picture ABC/DEF, stored in each EXIF orientation. */
    @TestFactory
    fun `converts each EXIF orientation to upright`(): List<DynamicTest> = listOf(
        1 to "ABC/DEF",
        2 to "CBA/FED",
        3 to "FED/CBA",
        4 to "DEF/ABC",
        5 to "AD/BE/CF",
        6 to "CF/BE/AD",
        7 to "FC/EB/DA",
        8 to "DA/EB/FC",
    ).map { (orientation, stored) ->
        dynamicTest("$orientation") { assertEquals("ABC/DEF", text(picture(stored).upright(orientation))) }
    }

    private fun picture(text: String): Picture {
        val rows = text.split("/")
        val bytes = rows.joinToString("").flatMap { letter -> List(3) { letter.code.toByte() } }
        return Picture(Size(rows.size, rows[0].length), bytes.toByteArray())
    }

    private fun text(picture: Picture): String =
        (0 until picture.size.area).map { Char(picture.rgb[3 * it].toInt()) }.joinToString("")
            .chunked(picture.size.width).joinToString("/")
}
