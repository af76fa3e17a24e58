package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Size
import java.nio.ByteBuffer

class YuvBufferTest {
    private val size = Size(height = 4, width = 6)

    private fun bytes(vararg values: Int) = ByteBuffer.wrap(ByteArray(values.size) { values[it].toByte() })

    private fun singleColour(y: Int, u: Int, v: Int): Int {
        val yuv = YuvBuffer()
        yuv.begin(Size(2, 2))
        yuv.copyPlane(0, bytes(y, y, y, y), 2, 1)
        yuv.copyPlane(1, bytes(u), 1, 1)
        yuv.copyPlane(2, bytes(v), 1, 1)
        val frame = Frame()
        yuv.toFrame(0, frame)
        return frame.argb.distinct().single() and 0xffffff
    }

    /** Detects swapped chroma planes and a limited range. */
    @Test
    fun `converts the corner colours of JFIF`() {
        assertEquals(0x000000, singleColour(0, 128, 128))
        assertEquals(0xffffff, singleColour(255, 128, 128))
        assertEquals(0xfe0000, singleColour(76, 85, 255)) // red
        assertEquals(0x0000fe, singleColour(29, 255, 107)) // blue
    }

    /** Most phones have a camera sensor that is rotated by 90 degrees. The EXIF conversion is the reference. */
    @TestFactory
    fun `rotates to upright, with padded rows and interleaved chroma`(): List<DynamicTest> =
        listOf(0 to 1, 90 to 6, 180 to 3, 270 to 8).map { (rotation, orientation) ->
            dynamicTest("$rotation degrees") {
                val yuv = YuvBuffer()
                yuv.begin(size)
                // Rows of 8 bytes for 6 pixels. The last row is shorter, as on Android.
                val luma = ByteArray(3 * 8 + 6) { (it % 8 + 10 * (it / 8)).toByte() }
                yuv.copyPlane(0, ByteBuffer.wrap(luma), 8, 1)
                val grey = ByteArray(8 + 5) { 128.toByte() }
                yuv.copyPlane(1, ByteBuffer.wrap(grey), 8, 2)
                yuv.copyPlane(2, ByteBuffer.wrap(grey), 8, 2)
                val frame = Frame()
                yuv.toFrame(rotation, frame)

                val rgb = ByteArray(3 * size.area) { (it / 3 % size.width + 10 * (it / 3 / size.width)).toByte() }
                val upright = Picture(size, rgb).upright(orientation)
                assertEquals(upright.size, frame.size)
                assertArrayEquals(upright.rgb, frame.toPicture().rgb)
            }
        }

    @Test
    fun `converts pictures to frames and back without loss`() {
        val golden = Picture.golden()
        val frame = golden.toFrame()
        assertArrayEquals(golden.rgb, frame.toPicture().rgb)
        val copy = Frame().apply { copyFrom(frame) }
        assertArrayEquals(golden.rgb, copy.toPicture(ByteArray(golden.rgb.size)).rgb)
    }

    /** A common phone: the back sensor is mounted at 90 degrees, the front sensor at 270 degrees. */
    @Test
    fun `computes the rotation for each device orientation`() {
        val displays = listOf(0, 90, 180, 270)
        assertEquals(listOf(90, 0, 270, 180), displays.map { uprightRotation(90, it, facingFront = false) })
        assertEquals(listOf(270, 0, 90, 180), displays.map { uprightRotation(270, it, facingFront = true) })
    }

    @Test
    fun `chooses the smallest frames that are sufficient for the network`() {
        val sizes = listOf(Size(144, 176), Size(240, 320), Size(480, 640), Size(1080, 1920))
        fun frame(network: Size) = chooseStreams(sizes, emptyList(), network).frame
        assertEquals(Size(480, 640), frame(Size(height = 256, width = 320)))
        assertEquals(Size(240, 320), frame(Size(height = 320, width = 240)))
        assertEquals(Size(1080, 1920), frame(Size(height = 2048, width = 2048)))
    }

    /** An overlay fits only a preview that shows the same part of the scene. */
    @Test
    fun `chooses the largest preview of the same shape`() {
        val previews = listOf(Size(2160, 3840), Size(1080, 1920), Size(1080, 1440), Size(480, 640), Size(288, 352))
        fun preview(frame: Size) = chooseStreams(listOf(frame), previews, frame).preview
        assertEquals(Size(1080, 1440), preview(Size(240, 320)))
        assertEquals(Size(1080, 1920), preview(Size(360, 640)))
        assertEquals(null, preview(Size(100, 100)))
    }

    /** Many cameras have a small size of a shape that no large size has. */
    @Test
    fun `prefers somewhat larger frames for a sharp preview`() {
        val previews = listOf(Size(1080, 1440), Size(1080, 1920), Size(288, 352))
        val network = Size(256, 320)
        assertEquals(
            StreamSizes(Size(480, 640), Size(1080, 1440)),
            chooseStreams(listOf(Size(288, 352), Size(480, 640), Size(1080, 1920)), previews, network),
        )
        assertEquals(
            StreamSizes(Size(288, 352), Size(288, 352)),
            chooseStreams(listOf(Size(288, 352), Size(1080, 1920)), previews, network),
        )
    }
}
