package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Size
import java.awt.image.BufferedImage
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import javax.imageio.ImageIO

/** The whole road of the screen but the screen, with the exported demonstration model. */
class DemoOverlayTest {
    private val artifact = File(System.getProperty("lvt.artifact"))

    @TempDir
    private lateinit var empty: File

    private class Painted(val size: Size?, val anchors: List<Anchor>, val pixels: IntArray, val clock: String)

    private class Once : Inference.Listener {
        val painted = CompletableFuture<Painted>()

        override fun loading(item: ShelfItem) = Unit

        override fun ready(model: Inference.Loaded) = Unit

        override fun answered(frame: Frame, overlay: Overlay, clock: String) {
            painted.complete(Painted(overlay.size, overlay.anchors, overlay.pixels.clone(), clock))
        }

        override fun failed(message: String) {
            painted.completeExceptionally(AssertionError(message))
        }
    }

    private fun frame(): Frame {
        val image: BufferedImage = ImageIO.read(File(System.getProperty("lvt.golden"), "demo.png"))
        val frame = Frame()
        frame.prepare(Size(image.height, image.width))
        image.getRGB(0, 0, image.width, image.height, frame.argb, 0, image.width)
        return frame
    }

    @Test
    @Timeout(60)
    fun `a scene is tinted, outlined and labelled`() {
        assumeTrue(artifact.isFile, "$artifact is missing; `make android` exports it")
        val folder = checkNotNull(artifact.parentFile)
        val item = Shelf(listOf(folder), NothingPackaged, empty).items().single { it.name == artifact.name }
        val frame = frame()
        val listener = Once()
        val painted = Inference(listOf(OnnxRuntime), listener).use {
            it.load(item, Choice(threads = 1))
            it.show(frame)
            listener.painted.get(50, TimeUnit.SECONDS)
        }
        assertEquals(frame.size, painted.size)
        assertTrue(painted.anchors.any { it.text.endsWith("%") }, "an instance")
        assertTrue(painted.anchors.any { !it.text.endsWith("%") }, "stuff")
        assertTrue(painted.pixels.any { it ushr 24 == 0xff }, "an outline")
        assertTrue("prepare" in painted.clock, painted.clock)
    }
}
